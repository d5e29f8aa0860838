//! An id is read as what it was written for, and anything else is none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sse_node::event::Position;

fuzz_target!(|text: &str| {
    if let Ok(position) = text.parse::<Position>() {
        let written = position.to_string();
        assert_eq!(written.parse(), Ok(position));
        assert!(written.len() <= text.len(), "{text} is written as {written}");
        assert!(written.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        assert!(position.next() >= position && position.before() <= position);
    }
});
