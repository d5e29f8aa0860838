//! The three listeners: `public` for subscribers, `publish` for publishers, `admin` for whoever runs the node.
//! `listen` is the loop they share, `first` how they tell what a connection speaks, `converse` what hyper serves,
//! `respond` the answers they share; `bounds` says how much and how long, which `waiting` and `activity` see to;
//! `ask` is what a subscriber says and `admit` whether it is let in, `guard` who may end streams or look on, `cors` which
//! web pages may read, `accept` what a client accepts; `probe` is a stream for the operator, that shows what is between
//! it and us.

mod accept;
mod activity;
pub mod admin;
pub mod admit;
pub mod ask;
pub mod bounds;
mod converse;
pub mod cors;
pub mod fields;
pub mod first;
pub mod guard;
pub mod listen;
mod pipe;
pub mod probe;
pub mod public;
pub mod publish;
pub mod respond;
mod revoke;
mod rewind;
pub mod room;
mod tap;
pub mod tls;
mod waiting;
