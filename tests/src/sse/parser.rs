//! The event stream format of WHATWG HTML 9.2.6, incrementally: bytes in, events out.

/// One dispatched event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The last event id when it was dispatched.
    pub id: String,
    /// The event's type, `message` by default.
    pub event: String,
    pub data: String,
}

/// Reads one connection's bytes, cut anywhere.
#[derive(Debug)]
pub struct Parser {
    /// The line that has begun.
    line: Vec<u8>,
    /// The last byte was CR, so that an LF now belongs to it.
    after_cr: bool,
    /// Nothing but the first bytes may be a byte order mark.
    first_line: bool,
    event: String,
    data: String,
    id: String,
    dispatched_id: String,
    retry: Option<u64>,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

impl Parser {
    /// For a connection that begins where `last_event_id` says.
    pub fn new(last_event_id: impl Into<String>) -> Self {
        let id: String = last_event_id.into();
        Self {
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            event: String::new(),
            data: String::new(),
            dispatched_id: id.clone(),
            id,
            retry: None,
        }
    }

    /// What a reconnect has to send.
    pub fn last_event_id(&self) -> &str {
        &self.dispatched_id
    }

    /// The last `retry:`, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// The events that these bytes complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let crlf = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if crlf => {}
                b'\r' | b'\n' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<Event> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.first_line) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                self.retry = value.parse().ok();
            }
            _ => {} // a comment, which has an empty field, or a field nobody knows
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.dispatched_id.clone_from(&self.id);
        let event = std::mem::take(&mut self.event);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?; // the last line's end; without a data line, nothing is dispatched
        let event = if event.is_empty() { "message".into() } else { event };
        Some(Event { id: self.dispatched_id.clone(), event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Event> {
        Parser::new("").feed(text.as_bytes())
    }

    fn event(id: &str, event: &str, data: &str) -> Event {
        Event { id: id.into(), event: event.into(), data: data.into() }
    }

    #[test]
    fn fields_of_an_event_are_read() {
        assert_eq!(read("event: trade\nid: 7\ndata: hello\n\n"), [event("7", "trade", "hello")]);
        assert_eq!(read("data:hello\n\n"), [event("", "message", "hello")]);
        assert_eq!(read("data:  two spaces\n\n")[0].data, " two spaces");
        assert_eq!(read("data: a:b\n\n")[0].data, "a:b");
    }

    #[test]
    fn cr_lf_and_crlf_end_lines_and_may_be_mixed() {
        for text in ["data: a\n\ndata: b\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n"] {
            assert_eq!(read(text), [event("", "message", "a"), event("", "message", "b")], "{text:?}");
        }
        assert_eq!(read("data: a\r\n\ndata: b\n\r\n").len(), 2);
    }

    #[test]
    fn bytes_may_be_cut_anywhere() {
        let text = "\u{feff}id: ü1\r\ndata: größe\r\ndata: 🦀\r\n\r\nretry: 42\n\n";
        let whole = read(text);
        assert_eq!(whole, [event("ü1", "message", "größe\n🦀")]);
        for size in 1..text.len() {
            let mut parser = Parser::new("");
            let events: Vec<_> = text.as_bytes().chunks(size).flat_map(|piece| parser.feed(piece)).collect();
            assert_eq!((events, parser.retry()), (whole.clone(), Some(42)), "in pieces of {size}");
        }
    }

    #[test]
    fn several_data_lines_are_joined_and_empty_ones_count() {
        assert_eq!(read("data: a\ndata: b\n\n")[0].data, "a\nb");
        assert_eq!(read("data\ndata\n\n")[0].data, "\n");
        assert_eq!(read("data:\n\n"), [event("", "message", "")]);
        assert_eq!(read("data: unfinished\n"), []);
    }

    #[test]
    fn an_event_without_data_is_not_dispatched_but_its_id_counts() {
        let mut parser = Parser::new("3");
        assert_eq!(parser.feed(b"id: 9\nevent: x\n"), []);
        assert_eq!(parser.last_event_id(), "3");
        assert_eq!(parser.feed(b"\n"), []);
        assert_eq!(parser.last_event_id(), "9");
        assert_eq!(parser.feed(b"data: a\n\n"), [event("9", "message", "a")]);
    }

    #[test]
    fn an_id_stays_until_another_comes_and_may_be_emptied() {
        let events = read("id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n");
        assert_eq!(events.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(), ["1", "1", ""]);
    }

    #[test]
    fn an_id_with_nul_is_ignored() {
        assert_eq!(read("id: 1\nid: 2\0\ndata: a\n\n")[0].id, "1");
    }

    #[test]
    fn retry_takes_digits_only() {
        let retry = |text: &str| {
            let mut parser = Parser::new("");
            parser.feed(text.as_bytes());
            parser.retry()
        };
        assert_eq!(retry("retry: 1500\n"), Some(1500));
        for wrong in ["retry: 1.5\n", "retry: -1\n", "retry:\n", "retry: 5s\n", "retry: 10"] {
            assert_eq!(retry(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn comments_unknown_fields_and_a_late_byte_order_mark_are_ignored() {
        assert_eq!(read(": hello\nfoo: bar\nDATA: x\n\ndata: a\n\n"), [event("", "message", "a")]);
        assert_eq!(read("\u{feff}data: a\n\n").len(), 1);
        assert_eq!(read("\n\u{feff}data: a\n\n"), []);
    }
}
