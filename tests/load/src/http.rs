//! As much of HTTP/1.1 as an endless answer needs: its head, and the bytes of a chunked or plain body, cut anywhere.

/// What an answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub chunked: bool,
    pub length: Option<u64>,
    pub gzip: bool,
}

/// The most a head may have before it is no head.
pub const MAX_HEAD: usize = 16 * 1024;

/// The head at the beginning of `bytes` and its length; none yet if its end is still to come, an error if it is no
/// head of HTTP/1.
pub fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>, &'static str> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > MAX_HEAD { Err("a head without end") } else { Ok(None) };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .filter(|line| line.starts_with("HTTP/1."))
        .and_then(|line| line.split(' ').nth(1)?.parse().ok())
        .ok_or("no status line of HTTP/1")?;
    let mut head = Head { status, chunked: false, length: None, gzip: false };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("content-length") {
            head.length = value.parse().ok();
        } else if name.eq_ignore_ascii_case("content-encoding") {
            head.gzip = value.eq_ignore_ascii_case("gzip");
        }
    }
    Ok(Some((head, end + 4)))
}

/// Where a body's reader is. A few bytes for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Up to the end of the connection.
    Plain,
    /// In a chunk's size, so far this.
    Size(u64),
    /// After the size, before the line's end.
    Extension(u64),
    /// So many bytes of the chunk are to come.
    Chunk(u64),
    /// Before the line's end that ends a chunk.
    ChunkEnd,
    /// The last chunk has been read.
    Ended,
}

impl Body {
    pub fn of(head: &Head) -> Self {
        if head.chunked { Self::Size(0) } else { Self::Plain }
    }

    /// The next piece of the body in `bytes`, and how many bytes that took; an empty piece says nothing but that.
    /// An error is a body that is not chunked as it should be.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], usize), &'static str> {
        match *self {
            Self::Plain => Ok((bytes, bytes.len())),
            Self::Ended => Ok((&[], bytes.len())),
            Self::Chunk(left) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - length as u64;
                *self = if left == 0 { Self::ChunkEnd } else { Self::Chunk(left) };
                Ok((&bytes[..length], length))
            }
            state => {
                let Some(&byte) = bytes.first() else { return Ok((&[], 0)) };
                *self = match (state, byte) {
                    (Self::ChunkEnd, b'\n') => Self::Size(0),
                    (Self::Size(0) | Self::Extension(0), b'\n') => Self::Ended,
                    (Self::Size(size) | Self::Extension(size), b'\n') => Self::Chunk(size),
                    (Self::Size(size), b'\r' | b';' | b' ') | (Self::Extension(size), _) => Self::Extension(size),
                    (Self::Size(size), digit) => {
                        let digit = char::from(digit).to_digit(16).ok_or("a chunk's size that is no number")?;
                        Self::Size(size.checked_mul(16).ok_or("a chunk too large")? + u64::from(digit))
                    }
                    (Self::ChunkEnd, b'\r') => state,
                    _ => return Err("a chunk that does not end"),
                };
                Ok((&[], 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str, size: usize) -> Result<(String, Body), &'static str> {
        let (mut state, mut read) = (Body::Size(0), String::new());
        for mut piece in text.as_bytes().chunks(size) {
            while !piece.is_empty() {
                let (data, taken) = state.next(piece)?;
                read += std::str::from_utf8(data).expect("text");
                piece = &piece[taken..];
            }
        }
        Ok((read, state))
    }

    #[test]
    fn a_head_says_its_status_and_how_the_body_comes() {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n5\r\n";
        let head_of = Head { status: 200, chunked: true, length: None, gzip: false };
        assert_eq!(head(answer), Ok(Some((head_of, answer.len() - 3))));
        let answer = b"HTTP/1.0 503 Busy\r\ncontent-length: 12\r\n\r\n";
        assert_eq!(head(answer).expect("a head").expect("whole").0.length, Some(12));
        assert_eq!(head(&answer[..20]), Ok(None));
        assert!(head(b"SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn chunks_may_be_cut_anywhere() {
        let text = "5\r\nhello\r\n1A;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
        for size in 1..text.len() {
            let read = ("helloabcdefghijklmnopqrstuvwxyz".to_owned(), Body::Ended);
            assert_eq!(body(text, size), Ok(read), "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_not_chunked_is_an_error() {
        assert!(body("data: hello\n\n", 100).is_err());
        assert!(body("2\r\nabc\r\n", 100).is_err());
    }
}
