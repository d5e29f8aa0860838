//! Server-sent events as a browser reads them: [`parser`] turns bytes into events, [`reader`] keeps a connection
//! to a stream and reconnects.

pub mod parser;
pub mod reader;
