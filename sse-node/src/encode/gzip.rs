//! What a gzip stream (RFC 1952) is made of when it is put together from pieces that many connections share.
//!
//! A piece is deflate blocks (RFC 1951) that end on a byte, made of one frame alone: after any other piece it means
//! the same, a client gets all of it at once, and no event is told in terms of another's text, from whose length an
//! attacker could learn it (BREACH, <https://breachattack.com>).

use std::fmt;

use parking_lot::Mutex;
use prometheus::IntCounter;
use zlib_rs::{
    Deflate, DeflateFlush,
    crc32::{crc32, crc32_combine_gen, crc32_combine_op},
};

/// What a stream begins with: no name, no time, by a system that is not told.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// An empty block that is the last one.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// The most that one stored block holds.
const STORED: usize = 65535;

/// CRC and length of what one connection was sent, uncompressed, as the end of its stream has them. As bytes they fit
/// into any gap, and there is one for each connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum {
    crc: [u8; 4],
    length: [u8; 4],
}

/// The same of a text that is added to many streams: what takes time is done once.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    crc: u32,
    length: u32,
    /// What a CRC is multiplied with when this text follows.
    shift: u32,
}

impl Part {
    pub fn of(text: &[u8]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the trailer's length is modulo 2^32")]
        let length = text.len() as u32;
        Self { crc: crc32(0, text), length, shift: crc32_combine_gen(text.len() as u64) }
    }
}

impl Checksum {
    pub fn add(&mut self, part: &Part) {
        self.crc = crc32_combine_op(u32::from_le_bytes(self.crc), part.crc, part.shift).to_le_bytes();
        self.length = u32::from_le_bytes(self.length).wrapping_add(part.length).to_le_bytes();
    }

    /// What ends a stream.
    pub fn trailer(self) -> [u8; 10] {
        let mut trailer = [0; 10];
        trailer[..2].copy_from_slice(&LAST_BLOCK);
        trailer[2..6].copy_from_slice(&self.crc);
        trailer[6..].copy_from_slice(&self.length);
        trailer
    }
}

/// Ends every piece: an empty stored block, as a flush makes one. Go's reader, and with it every proxy written in Go that
/// unpacks for clients that accept no gzip, hands on what it has only there (compress/flate, `dataBlock`).
const FLUSH: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// Text as it is, in blocks that say so: ten bytes more, and no time.
pub fn stored(text: &[u8]) -> Vec<u8> {
    let mut piece = Vec::with_capacity(text.len() + 5 * text.len().div_ceil(STORED) + FLUSH.len());
    for block in text.chunks(STORED) {
        #[expect(clippy::cast_possible_truncation, reason = "of at most 65,535")]
        let length = block.len() as u16;
        piece.push(0);
        piece.extend_from_slice(&length.to_le_bytes());
        piece.extend_from_slice(&(!length).to_le_bytes());
        piece.extend_from_slice(block);
    }
    piece.extend_from_slice(&FLUSH);
    piece
}

/// Makes pieces, and counts by how much it makes them smaller.
pub struct Compressor {
    /// Their memory, 300 KB each, is used again. Between two pieces they are reset, and know nothing of the one before.
    idle: Mutex<Vec<Deflate>>,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
}

/// Of zlib's levels the usual one. Time is no matter, as a piece is made once for all.
const LEVEL: i32 = 6;

impl Compressor {
    pub fn new(bytes_in: IntCounter, bytes_out: IntCounter) -> Self {
        Self { idle: Mutex::default(), bytes_in, bytes_out }
    }

    /// A piece of this text; as it is, if that is no longer.
    pub fn piece(&self, text: &[u8]) -> Vec<u8> {
        let idle = self.idle.lock().pop();
        let mut deflate = idle.unwrap_or_else(|| Deflate::new(LEVEL, false, 15));
        let mut piece = vec![0; text.len()];
        let done = deflate.compress(text, &mut piece, DeflateFlush::FullFlush);
        let (taken, made) = (deflate.total_in(), usize::try_from(deflate.total_out()).unwrap_or(usize::MAX));
        deflate.reset();
        self.idle.lock().push(deflate);
        // An output that is full may not be all.
        let piece = if done.is_ok() && taken == text.len() as u64 && made < piece.len() {
            piece.truncate(made);
            piece
        } else {
            stored(text)
        };
        self.bytes_in.inc_by(text.len() as u64);
        self.bytes_out.inc_by(piece.len() as u64);
        piece
    }

    /// A whole stream of this text.
    pub fn gzip(&self, text: &[u8]) -> Vec<u8> {
        let mut sum = Checksum::default();
        sum.add(&Part::of(text));
        [&HEADER[..], &self.piece(text), &sum.trailer()].concat()
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}
