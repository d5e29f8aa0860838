//! Cuts a body into lines as its parts arrive. Pure: bytes in, lines out.

use bytes::{Bytes, BytesMut};

/// Lines of a body.
pub struct Lines {
    buffer: BytesMut,
    /// So much of the buffer holds no line end.
    scanned: usize,
    /// The longest line, in bytes.
    limit: usize,
    /// Lines so far.
    number: usize,
    ended: bool,
}

/// A line, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Its number, from 1, and its bytes without the line end.
    Line(usize, Bytes),
    /// The next line is longer than it may be.
    TooLong,
    /// There is no whole line yet.
    More,
    End,
}

impl Lines {
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, limit, number: 0, ended: false }
    }

    pub fn push(&mut self, part: &[u8]) {
        self.buffer.extend_from_slice(part);
    }

    /// The body is over: what is left is the last line.
    pub fn end(&mut self) {
        self.ended = true;
    }

    pub fn cut(&mut self) -> Cut {
        let found = self.buffer[self.scanned..].iter().position(|b| *b == b'\n').map(|at| self.scanned + at);
        let length = found.unwrap_or(self.buffer.len());
        if length > self.limit {
            return Cut::TooLong;
        }
        self.scanned = length;
        let line = match found {
            Some(at) => {
                let line = self.buffer.split_to(at + 1).freeze();
                line.slice(..at)
            }
            None if !self.ended => return Cut::More,
            None if self.buffer.is_empty() => return Cut::End,
            None => self.buffer.split().freeze(),
        };
        self.scanned = 0;
        self.number += 1;
        Cut::Line(self.number, line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(parts: &[&[u8]], limit: usize) -> Vec<Cut> {
        let (mut lines, mut cuts) = (Lines::new(limit), Vec::new());
        for part in parts {
            lines.push(part);
            loop {
                match lines.cut() {
                    Cut::More => break,
                    cut @ Cut::TooLong => return [cuts, vec![cut]].concat(),
                    cut => cuts.push(cut),
                }
            }
        }
        lines.end();
        loop {
            match lines.cut() {
                Cut::End => return cuts,
                cut => cuts.push(cut),
            }
        }
    }

    #[test]
    fn a_line_too_long_is_found_before_it_has_all_come() {
        let line = |n, text: &'static str| Cut::Line(n, Bytes::from_static(text.as_bytes()));
        assert_eq!(lines(&[b"abc\nab", b"cd"], 3), [line(1, "abc"), Cut::TooLong]);
        assert_eq!(lines(&[b"a\n\nb"], 3), [line(1, "a"), line(2, ""), line(3, "b")]);
    }

    proptest! {
        #[test]
        fn however_a_body_arrives_its_lines_are_the_same(
            body in "[ab\n]{0,60}",
            cuts in proptest::collection::vec(0_usize..60, 0..6),
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|at| at.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            let expected = body.lines().enumerate().map(|(i, line)| Cut::Line(i + 1, Bytes::copy_from_slice(line.as_bytes())));
            prop_assert_eq!(lines(&parts, 100), expected.collect::<Vec<_>>());
        }
    }
}
