//! Bytes on the wire: event-stream frames, by WHATWG HTML 9.2.5
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.
//!
//! Pure: no I/O, no clock. `encoder` makes a [`Frame`] of each event, once for all connections; `words` are the
//! node's own. A [`Body`] is one connection's: which form of each frame it takes, plain or as a piece of a gzip stream.

mod body;
mod encoder;
mod envelope;
mod event;
mod frame;
mod gzip;
#[cfg(test)]
mod tests;
mod words;

pub use body::{Body, Coding};
pub use encoder::Encoder;
pub use frame::{Frame, Framing};
pub use gzip::Compressor;
pub use words::{Missed, farewell, gap, greeting, heartbeat, reset, token_expiring};
