//! Unpacks a gzip body (RFC 1952) as it comes, for one of thousands of connections: 43 KB for each, and the output is
//! in a buffer that they share.

use flate2::{Decompress, FlushDecompress, Status};

/// What has come of one body.
#[derive(Debug)]
pub struct Gunzip {
    /// Bytes of the header that are still to come.
    header: usize,
    inflate: Box<Decompress>,
}

/// A header without a name and the like, which is what servers send.
const HEADER: usize = 10;

impl Default for Gunzip {
    fn default() -> Self {
        Self { header: HEADER, inflate: Box::new(Decompress::new(false)) }
    }
}

impl Gunzip {
    /// Unpacks what there is room for in `text`; how much of the bytes that took, and how much text it made. What comes
    /// after the last block, the trailer, is taken and says nothing.
    pub fn next(&mut self, bytes: &[u8], text: &mut [u8]) -> Result<(usize, usize), &'static str> {
        if self.header > 0 {
            let length = self.header.min(bytes.len());
            let wanted = &[0x1f, 0x8b, 8, 0][(HEADER - self.header).min(4)..];
            if bytes[..length].iter().zip(wanted).any(|(byte, wanted)| byte != wanted) {
                return Err("no gzip header, or one with more in it than servers send");
            }
            self.header -= length;
            return Ok((length, 0));
        }
        let (read, made) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(bytes, text, FlushDecompress::Sync).map_err(|_| "no deflate stream")?;
        let length = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let (read, made) = (length(self.inflate.total_in() - read), length(self.inflate.total_out() - made));
        if status == Status::StreamEnd {
            return Ok((bytes.len(), made));
        }
        Ok((read, made))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn unpack(packed: &[u8], size: usize, room: usize) -> Result<String, &'static str> {
        let (mut gunzip, mut text, mut out) = (Gunzip::default(), Vec::new(), vec![0; room]);
        for mut piece in packed.chunks(size) {
            loop {
                let (taken, made) = gunzip.next(piece, &mut out)?;
                text.extend_from_slice(&out[..made]);
                piece = &piece[taken..];
                if piece.is_empty() && made < room {
                    break;
                }
            }
        }
        Ok(String::from_utf8(text).expect("text"))
    }

    #[test]
    fn a_body_may_be_cut_anywhere_and_the_room_be_small() {
        let text = "data: hello\n\n".repeat(100);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).expect("compress");
        encoder.flush().expect("flush");
        let packed = encoder.finish().expect("end");
        for (size, room) in [(1, 7), (3, 100_000), (packed.len(), 10), (packed.len(), 100_000)] {
            assert_eq!(unpack(&packed, size, room).as_ref(), Ok(&text), "in pieces of {size}, room for {room}");
        }
    }

    #[test]
    fn what_is_no_gzip_is_an_error() {
        assert!(unpack(b"data: hello\n\n", 100, 100).is_err());
        assert!(unpack(b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xff\xff\xff\xff", 1, 100).is_err());
    }
}
