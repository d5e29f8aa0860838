//! What becomes of those who do not take what they are sent, and of those who do.

use super::*;

pub fn told(world: &World, reader: usize) -> Vec<String> {
    let text = |event: ssefleet_tests::sse::parser::Event| match event.event.as_str() {
        "message" => event.data,
        _ => format!("{} {}", event.event, event.data),
    };
    world.received(reader).into_iter().map(text).collect()
}

/// A reader that gets event 1, then takes nothing while others come, and is looked at after the time.
pub fn lagging(slow: SlowConsumer, topics: &[&str], after: u32) -> (World, usize) {
    let mut world = World::new(slow);
    let reader = world.join(topics, world.head(), 1 << 20);
    world.publish("a");
    world.settle();
    world.readers[reader].pipe.0.borrow_mut().room = 0;
    for topic in ["a", "b", "a"] {
        world.publish(topic);
    }
    world.settle();
    world.now = world.now.after(after);
    for _ in 0..=after / 10 {
        world.audience.tick(world.now);
    }
    (world, reader)
}

#[test]
fn one_that_lags_too_far_is_disconnected() {
    let (world, reader) = lagging(SlowConsumer::Disconnect, &[], 599);
    assert!(world.audience.get(world.readers[reader].key).is_some());
    let (world, reader) = lagging(SlowConsumer::Disconnect, &[], 602);
    assert!(world.audience.get(world.readers[reader].key).is_none());
}

#[test]
fn one_that_lags_goes_on_with_the_latest() {
    let (mut world, reader) = lagging(SlowConsumer::SkipToLatest, &[], 602);
    world.give_room(reader, 1 << 20);
    world.settle();
    assert_eq!(told(&world, reader), ["1", r#"gap {"missed":2,"reason":"slow"}"#, "4"]);
    // Of its topics only.
    let (mut world, reader) = lagging(SlowConsumer::SkipToLatest, &["a"], 602);
    world.give_room(reader, 1 << 20);
    world.settle();
    assert_eq!(told(&world, reader), ["1", r#"gap {"missed":1,"reason":"slow"}"#, "4"]);
    // One that is only a little behind skips nothing.
    let (mut world, reader) = lagging(SlowConsumer::SkipToLatest, &[], 599);
    world.give_room(reader, 1 << 20);
    world.settle();
    assert_eq!(told(&world, reader), ["1", "2", "3", "4"]);
}

#[test]
fn one_that_lags_goes_on_with_the_latest_of_each_topic() {
    let (mut world, reader) = lagging(SlowConsumer::LatestPerTopic, &[], 602);
    world.give_room(reader, 1 << 20);
    world.settle();
    assert_eq!(told(&world, reader), ["1", r#"gap {"missed":1,"reason":"slow"}"#, "3", "4"]);
    world.publish("b");
    world.settle();
    assert_eq!(told(&world, reader).last().unwrap(), "5");
}

#[test]
fn one_that_takes_nothing_is_stale_and_one_that_is_old_is_dismissed() {
    let (mut world, reader) = lagging(SlowConsumer::SkipToLatest, &[], 3002);
    assert!(world.audience.get(world.readers[reader].key).is_none());
    let young = world.join(&[], world.head(), 1 << 20);
    world.settle();
    world.now = world.now.after(32_000);
    for _ in 0..400 {
        world.audience.tick(world.now);
    }
    assert!(world.audience.get(world.readers[young].key).is_some(), "not before 90 % of its age");
    world.now = world.now.after(8_000);
    for _ in 0..100 {
        world.audience.tick(world.now);
    }
    assert!(world.audience.get(world.readers[young].key).is_none());
    assert!(world.text(young).ends_with(": this connection is old enough; reconnect\n\n"));
}

#[test]
fn a_caught_up_reader_costs_one_write_an_event_and_others_none() {
    let mut world = World::new(SlowConsumer::Disconnect);
    let (one, other) = (world.join(&["a"], world.head(), 1 << 20), world.join(&["b"], world.head(), 1 << 20));
    world.settle();
    let writes = |world: &World, reader: usize| world.readers[reader].pipe.0.borrow().writes;
    let before = (writes(&world, one), writes(&world, other));
    for _ in 0..10 {
        world.publish("a");
        world.settle();
    }
    assert_eq!((writes(&world, one), writes(&world, other)), (before.0 + 10, before.1));
    // Several at once are one write.
    (0..3).for_each(|_| world.publish("a"));
    world.settle();
    assert_eq!(writes(&world, one), before.0 + 11);
    // A quiet one learns by a heartbeat how far the log has come.
    world.now = world.now.after(160);
    (0..20).for_each(|_| world.audience.tick(world.now));
    assert!(world.text(other).ends_with("id: 1-13\n\n"));
}
