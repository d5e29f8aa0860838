//! The body of one answer: which form of each frame it is made of, and what stands at its beginning and end.

use bytes::Bytes;

use super::{
    frame::{Chunk, Frame, Framing},
    gzip::{Checksum, HEADER},
};

/// The content coding that a client was told (RFC 9110, 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    Gzip,
}

/// One connection's body. All that it keeps of what went before is what ends a gzip stream.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    framing: Framing,
    coding: Coding,
    sum: Checksum,
}

impl Body {
    pub fn new(framing: Framing, coding: Coding) -> Self {
        Self { framing, coding, sum: Checksum::default() }
    }

    /// What it begins with, these frames included.
    pub fn begin(&mut self, frames: &[Frame], to: &mut Vec<u8>) {
        if self.coding == Coding::Gzip {
            to.extend_from_slice(Chunk::new(&HEADER).bytes(self.framing));
        }
        for frame in frames {
            self.begun(frame);
            to.extend_from_slice(self.bytes(frame));
        }
    }

    /// What is written of a frame.
    pub fn bytes<'a>(&self, frame: &'a Frame) -> &'a [u8] {
        self.chunk(frame).bytes(self.framing)
    }

    /// The rest of [`Body::bytes`] from some byte on, to keep for later.
    pub fn rest(&self, frame: &Frame, from: usize) -> Bytes {
        self.chunk(frame).rest(self.framing, from)
    }

    /// A frame has been written at least in part: what is left of it follows, or nothing more does.
    pub fn begun(&mut self, frame: &Frame) {
        if self.coding == Coding::Gzip {
            self.sum.add(&frame.gzip().part);
        }
    }

    /// What ends it in order, last words included. All frames before have been written whole.
    pub fn end(&self, last: &Frame) -> Vec<u8> {
        let mut body = *self;
        body.begun(last);
        let mut end = self.bytes(last).to_vec();
        if self.coding == Coding::Gzip {
            end.extend_from_slice(Chunk::new(&body.sum.trailer()).bytes(self.framing));
        }
        if self.framing == Framing::Chunked {
            end.extend_from_slice(b"0\r\n\r\n");
        }
        end
    }

    fn chunk<'a>(&self, frame: &'a Frame) -> &'a Chunk {
        match self.coding {
            Coding::Identity => frame.text(),
            Coding::Gzip => &frame.gzip().chunk,
        }
    }
}
