//! What compression asks of an audience: sums that are right whatever is written, and a ring that may be emptied.

use super::{
    lagging::{lagging, told},
    *,
};

/// Beats, broadcasts, words and events, each taken whole, in part or not at all at first.
#[test]
fn whatever_is_written_is_in_the_sum_of_a_compressed_stream() {
    for room in 0..60 {
        let mut world = World::new(SlowConsumer::SkipToLatest);
        world.join(&[], world.head(), 1 << 20);
        let reader = world.join(&["a"], world.head(), 1 << 20);
        world.settle();
        let narrow = |world: &mut World| world.readers[reader].pipe.0.borrow_mut().room = room;
        let wide = |world: &mut World| {
            world.give_room(reader, 1 << 20);
            world.settle();
        };
        narrow(&mut world);
        world.now = world.now.after(160);
        (0..20).for_each(|_| world.audience.tick(world.now));
        wide(&mut world);
        narrow(&mut world);
        world.audience.broadcast(&world.encoder.broadcast("to all, and long enough to be compressed"), world.now);
        wide(&mut world);
        narrow(&mut world);
        for topic in ["a", "b", "a", "a"] {
            world.publish(topic);
        }
        world.settle();
        world.now = world.now.after(700);
        (0..80).for_each(|_| world.audience.tick(world.now));
        wide(&mut world);
        world.audience.close_some(usize::MAX, Closed::Drained);
        let bytes = world.readers[reader].pipe.0.borrow().bytes.clone();
        let mut text = String::new();
        MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
        assert!(text.contains("data: 4\n\n") && text.ends_with("another\n\n"), "{room}: {text}");
        // A beat that finds no room is let go. Where the first event just fits, of 27 bytes, the second is skipped.
        let beat_and_gap = (text.contains("\n\n:\n\n"), text.contains("event: gap"));
        assert_eq!(beat_and_gap, (room > 0, room <= 27), "{room}: {text}");
    }
}

/// Frames are forgotten when events are to look otherwise; nobody lags for that.
#[test]
fn one_that_is_blocked_when_the_ring_is_emptied_gets_its_time() {
    let (mut world, reader) = lagging(SlowConsumer::Disconnect, &[], 599);
    world.ring.write().empty(world.now);
    let ticks = |world: &mut World, ticks| {
        world.now = world.now.after(ticks);
        (0..=ticks / 10).for_each(|_| world.audience.tick(world.now));
    };
    ticks(&mut world, 590);
    assert!(world.audience.get(world.readers[reader].key).is_some());
    let (mut late, other) = lagging(SlowConsumer::Disconnect, &[], 599);
    late.ring.write().empty(late.now);
    ticks(&mut late, 620);
    assert!(late.audience.get(late.readers[other].key).is_none());
    world.give_room(reader, 1 << 20);
    world.settle();
    assert!(told(&world, reader).starts_with(&["1".into(), "2".into(), "3".into()]), "a page of the log");
}

/// What a connection costs while it is idle is this, its place in the index and the wheel, and the kernel's.
#[test]
fn a_subscriber_is_small() {
    let size = size_of::<Subscriber<crate::fanout::shard::Socket>>();
    assert!(size <= 176, "{size}");
}
