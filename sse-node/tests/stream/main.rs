//! What a node promises to subscribers and publishers, over real sockets.

mod drain;
mod http;
mod outage;
mod resume;
mod support;
