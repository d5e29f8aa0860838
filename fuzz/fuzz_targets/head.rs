//! The head of a request as the bare socket reads it, and as hyper does; and what a subscriber asks for in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sse_node::{
    event::Position,
    fanout::topics::Topics,
    http::{ask::Ask, first::Get},
};

#[path = "../../sse-node/tests/hostile/by_hyper.rs"]
mod by_hyper;

fuzz_target!(|bytes: &[u8]| {
    by_hyper::read_alike(bytes);
    let Some(get) = Get::parse(bytes) else { return };
    let ask = Ask { query: get.query, fields: get.fields(), peer: ([127, 0, 0, 1], 1).into() };
    let _ = ask.is_by_event_source();
    let _ = ask.fields.first("last-event-id").map(str::parse::<Position>);
    let _ = Topics::of(ask.parameters("topic"));
});
