//! Reads an event stream for its numbers: the payload's `n` and `at`, ids, `retry:`, and what a node says of its log.
//!
//! It keeps a line only if that is cut in two, and of an event only what is asked, so that tens of thousands of
//! connections cost little. Lines end in LF or CRLF; that is what every server here writes.

use memchr::memchr;

/// What a publisher wrote: `{"n":<number>,"at":<nanoseconds>,…}`, see [`crate::payload`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    pub n: u64,
    pub at: u64,
}

/// What an event turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Published(Payload),
    /// So many events are no longer in the log.
    Gap(u64),
    /// The log began anew.
    Reset,
    /// An id without data, or data of somebody else.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Message,
    Gap,
    Reset,
}

/// One connection's reader.
#[derive(Debug, Default)]
pub struct Reader {
    /// The beginning of a line whose end is still to come.
    partial: Vec<u8>,
    /// The last id of an event that is complete; what a reconnect sends.
    pub id: Vec<u8>,
    /// The last `retry:`, in milliseconds.
    pub retry: Option<u32>,
    /// Of the event that has begun: its id, if it has one.
    new_id: Vec<u8>,
    has_id: bool,
    kind: Kind,
    data: Option<Data>,
}

#[derive(Clone, Copy, Debug)]
struct Data {
    payload: Option<Payload>,
    missed: u64,
}

impl Reader {
    /// For a connection that goes on after an id; an empty one is from now on.
    pub fn after(id: &str) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Forgets what was cut off, keeps the id: the next connection goes on there.
    pub fn reconnect(&mut self) {
        let (id, retry) = (std::mem::take(&mut self.id), self.retry);
        *self = Self { id, retry, ..Self::default() };
    }

    /// Calls `on` with each event that these bytes complete; the reader has its id by then.
    pub fn feed(&mut self, mut bytes: &[u8], mut on: impl FnMut(Event, &[u8])) {
        while let Some(end) = memchr(b'\n', bytes) {
            let event = if self.partial.is_empty() {
                self.line(&bytes[..end])
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&bytes[..end]);
                let event = self.line(&line);
                line.clear();
                self.partial = line;
                event
            };
            bytes = &bytes[end + 1..];
            if let Some(event) = event {
                on(event, &self.id);
            }
        }
        self.partial.extend_from_slice(bytes);
    }

    fn line(&mut self, line: &[u8]) -> Option<Event> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return self.dispatch();
        }
        if let Some(data) = value(line, b"data:") {
            // Our payloads are of one line; of more, the first counts.
            self.data.get_or_insert_with(|| Data { payload: payload(data), missed: number(data, b"{\"missed\":") });
        } else if let Some(id) = value(line, b"id:") {
            id.clone_into(&mut self.new_id);
            self.has_id = true;
        } else if let Some(kind) = value(line, b"event:") {
            self.kind = match kind {
                b"gap" => Kind::Gap,
                b"reset" => Kind::Reset,
                _ => Kind::Message,
            };
        } else if let Some(retry) = value(line, b"retry:") {
            self.retry = std::str::from_utf8(retry).ok().and_then(|text| text.parse().ok()).or(self.retry);
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let has_id = std::mem::take(&mut self.has_id);
        if has_id {
            std::mem::swap(&mut self.id, &mut self.new_id);
        }
        let kind = std::mem::take(&mut self.kind);
        let Some(data) = self.data.take() else { return has_id.then_some(Event::Other) };
        Some(match kind {
            Kind::Gap => Event::Gap(data.missed),
            Kind::Reset => Event::Reset,
            Kind::Message => data.payload.map_or(Event::Other, Event::Published),
        })
    }
}

fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(field)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

fn payload(data: &[u8]) -> Option<Payload> {
    let (n, rest) = digits(data.strip_prefix(b"{\"n\":")?)?;
    let (at, _) = digits(rest.strip_prefix(b",\"at\":")?)?;
    Some(Payload { n, at })
}

fn number(data: &[u8], before: &[u8]) -> u64 {
    data.strip_prefix(before).and_then(digits).map_or(0, |(number, _)| number)
}

fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..length].iter().fold(0_u64, |n, digit| n.wrapping_mul(10) + u64::from(digit - b'0'));
    (length > 0).then_some((number, &text[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, size: usize) -> (Vec<(Event, String)>, Reader) {
        let (mut reader, mut events) = (Reader::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            reader.feed(piece, |event, id| events.push((event, String::from_utf8_lossy(id).into_owned())));
        }
        (events, reader)
    }

    #[test]
    fn numbers_ids_and_retry_are_read_wherever_the_bytes_are_cut() {
        let text = "retry: 3412\nid: e-4\n\n: beat\n\nid: e-5\r\ndata: {\"n\":7,\"at\":99,\"pad\":\"x\"}\r\n\r\n\
                    event: gap\nid: e-9\ndata: {\"missed\":3}\n\nevent: reset\ndata: {}\n\ndata: hello\n\ndata: cut";
        let published = Event::Published(Payload { n: 7, at: 99 });
        let wanted = [
            (Event::Other, "e-4"),
            (published, "e-5"),
            (Event::Gap(3), "e-9"),
            (Event::Reset, "e-9"),
            (Event::Other, "e-9"),
        ]
        .map(|(event, id)| (event, id.to_owned()));
        for size in 1..text.len() {
            let (events, reader) = read(text, size);
            assert_eq!(events, wanted, "in pieces of {size}");
            assert_eq!((reader.retry, reader.id.as_slice()), (Some(3412), &b"e-9"[..]));
        }
    }

    #[test]
    fn an_id_counts_only_when_its_event_is_complete() {
        let (events, mut reader) = read("id: 1\ndata: x\n\nid: 2\ndata: {\"n\":1", 3);
        assert_eq!((events.len(), reader.id.as_slice()), (1, &b"1"[..]));
        reader.reconnect();
        reader.feed(b"data: {\"n\":2,\"at\":0}\n\n", |event, id| {
            assert_eq!((event, id), (Event::Published(Payload { n: 2, at: 0 }), &b"1"[..]));
        });
    }
}
