//! A piece of an event stream as it lies in memory once and goes out to many, in the form that each has asked for.

use std::{
    io::Write as _,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use super::gzip::{Compressor, Part, stored};

/// Text of an event stream, shared. Its gzip form is made when the first connection wants it.
#[derive(Clone, Debug)]
pub struct Frame(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    text: Chunk,
    /// What makes it smaller, if it is large enough to be worth it.
    compressor: Option<Arc<Compressor>>,
    gzip: OnceLock<Box<Piece>>,
}

/// Bytes with the size line and the line end of an HTTP/1.1 chunk (RFC 9112, 7.1) around them, which other
/// framings leave out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    bytes: Bytes,
    /// How long the size line is.
    head: u8,
}

/// A frame's part of a gzip stream.
#[derive(Debug)]
pub(super) struct Piece {
    pub chunk: Chunk,
    pub part: Part,
}

/// How a connection marks where a piece of the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// HTTP/1.1: chunked.
    Chunked,
    /// HTTP/1.0 (the body ends with the connection), and whatever does its own framing below us.
    Plain,
}

impl Frame {
    pub(super) fn new(text: &str, compressor: Option<Arc<Compressor>>) -> Self {
        Self(Arc::new(Forms { text: Chunk::new(text.as_bytes()), compressor, gzip: OnceLock::new() }))
    }

    /// The text, for one who is not sent a stream of many.
    pub fn plain(&self) -> Bytes {
        self.0.text.rest(Framing::Plain, 0)
    }

    /// The bytes that history.maxBytes counts: those of the text.
    pub fn size(&self) -> usize {
        self.0.text.bytes.len()
    }

    pub(super) fn text(&self) -> &Chunk {
        &self.0.text
    }

    pub(super) fn gzip(&self) -> &Piece {
        self.0.gzip.get_or_init(|| {
            let text = self.0.text.bytes(Framing::Plain);
            let piece = self.0.compressor.as_ref().map_or_else(|| stored(text), |compressor| compressor.piece(text));
            Box::new(Piece { chunk: Chunk::new(&piece), part: Part::of(text) })
        })
    }
}

/// Of two that say the same.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Chunk {
    pub fn new(content: &[u8]) -> Self {
        let mut chunk = Vec::with_capacity(content.len() + 12);
        // Writing to memory can't fail.
        let _ = write!(chunk, "{:x}\r\n", content.len());
        let head = u8::try_from(chunk.len()).unwrap_or(u8::MAX);
        chunk.extend_from_slice(content);
        chunk.extend_from_slice(b"\r\n");
        Self { bytes: chunk.into_boxed_slice().into(), head }
    }

    /// What is written to a connection of this framing.
    pub fn bytes(&self, framing: Framing) -> &[u8] {
        match framing {
            Framing::Chunked => &self.bytes,
            Framing::Plain => &self.bytes[usize::from(self.head)..self.bytes.len() - 2],
        }
    }

    /// The rest of [`Chunk::bytes`] from some byte on, to keep for later.
    pub fn rest(&self, framing: Framing, from: usize) -> Bytes {
        match framing {
            Framing::Chunked => self.bytes.slice(from..),
            Framing::Plain => self.bytes.slice(usize::from(self.head) + from..self.bytes.len() - 2),
        }
    }
}
