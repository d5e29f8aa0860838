//! The operator's talk with the nodes, on their admin ports: what they tell of themselves, and what they are asked to do.
//!
//! [`Client`] asks one node one thing, within limits of time and size; [`Stats`] is what a node tells, and [`Token`] what
//! opens to the operator what is not for everyone.

mod client;
mod stats;
mod token;

pub use self::token::Token;
