//! The three listeners: `public` for subscribers, `publish` for publishers, `admin` for whoever runs the node.
//! `listen` is the loop they share; `respond` the answers they share.

pub mod admin;
pub mod listen;
pub mod public;
pub mod publish;
pub mod respond;
