//! A pair of sockets between who writes bytes without waiting, and an answer of hyper's whose body they are.

use std::{convert::Infallible, io, os::unix::net::UnixStream as Ours};

use futures_util::{StreamExt, future::ready};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::net::UnixStream;
use tokio_util::io::ReaderStream;

use super::respond::Body;

/// Between its ends lie no more than about so many bytes.
pub fn pair(room: usize) -> io::Result<(Ours, UnixStream)> {
    let (ours, theirs) = Ours::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&ours, room)?;
    Ok((ours, UnixStream::from_std(theirs)?))
}

/// What comes out, until the other end is closed. Whatever goes wrong between the two ends is the end of it.
pub fn read_out(end: UnixStream) -> Body {
    let read = ReaderStream::new(end).take_while(|read| ready(read.is_ok())).filter_map(|read| ready(read.ok()));
    StreamBody::new(read.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)))).boxed_unsync()
}
