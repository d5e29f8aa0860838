//! StreamVerified: when what probes find is told.

use super::*;
use crate::{
    controller::conditions::STREAM_VERIFIED,
    probe::{Finding, Measured, Outcome},
};

fn found(outcome: Outcome, first_byte: u64) -> Found {
    let first_byte = Some(Duration::from_millis(first_byte));
    let measured = Measured { first_byte, ..Measured::default() };
    (Finding { outcome, message: format!("{outcome:?} in {first_byte:?}"), measured }.into(), Some(1))
}

#[test]
fn what_probes_find_is_told_when_it_is_new_and_else_once_a_day() {
    let mut world = well();
    world.seen.found = Some(found(Outcome::Streaming, 5));
    world.before = world.status();
    let verified = |world: &World| get(&world.status().conditions, STREAM_VERIFIED).unwrap().clone();
    assert_eq!((verified(&world).status.as_str(), verified(&world).reason.as_str()), ("True", "Streaming"));
    assert_eq!(world.before.last_probe.as_ref().unwrap().first_byte_ms, Some(5));

    world.seen.found = Some(found(Outcome::Streaming, 6));
    world.now = Timestamp::from_second(86_399).unwrap();
    assert_eq!(world.status(), world.before, "the same again is no news");
    world.seen.found = None;
    assert_eq!(world.status(), world.before, "nor is a restart of the operator");
    world.seen.found = Some(found(Outcome::Streaming, 6));
    world.now = Timestamp::from_second(86_400).unwrap();
    assert_eq!(world.status().last_probe.unwrap().first_byte_ms, Some(6));

    world.seen.found = Some(found(Outcome::Buffered, 7));
    assert_eq!((verified(&world).status.as_str(), verified(&world).reason.as_str()), ("False", "Buffered"));
    assert_eq!(world.told()[0], "Ready=True AllReady", "it is told beside Ready, not in it");
    world.seen.found = Some(found(Outcome::NotReached, 7));
    assert_eq!((verified(&world).status.as_str(), verified(&world).reason.as_str()), ("Unknown", "NotReached"));
}

#[test]
fn what_was_found_of_an_earlier_generation_is_told_as_that() {
    let mut world = well();
    world.seen.found = Some((found(Outcome::Streaming, 5).0, Some(0)));
    let status = world.status();
    assert_eq!(get(&status.conditions, STREAM_VERIFIED).unwrap().observed_generation, Some(0));
}

#[test]
fn a_probe_can_be_switched_off() {
    let mut world = well();
    world.wanted.stream.exposure.probe.enabled = false;
    world.seen.found = Some(found(Outcome::Buffered, 5));
    assert_eq!(world.told()[5], "StreamVerified=Unknown Disabled");
    assert_eq!(world.status().last_probe, None);
}
