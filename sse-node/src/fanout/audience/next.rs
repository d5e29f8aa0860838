//! What comes next for one who lacks something, as its cursor, its topics, the ring and a page say. Nothing is
//! written here.

use super::{BATCH, Behind};
use crate::{
    broker::Extent,
    encode::{self, Frame, Missed},
    event::Position,
    fanout::{
        page::Need,
        ring::{Entry, Off, Ring},
        topics::Topics,
    },
};

/// Events looked at to find those that one subscriber wants, before it is the next one's turn.
const LOOK_AT: usize = 4096;
/// Bytes gathered for one write, unless one event alone has more.
const GATHER: usize = 64 << 10;

/// What comes next for one who lacks something.
pub(super) enum Next {
    /// These, and then all up to the position has been seen to.
    Events(Vec<Entry>, Position),
    /// A word about what is missing; what is after the position comes next.
    Tell(Frame, Position, Told),
    Ask(Need),
    /// Nothing: it has everything up to here.
    Live(Position),
}

#[derive(Clone, Copy)]
pub(super) enum Told {
    Gap,
    Skipped(u64),
}

pub(super) fn next(behind: &mut Behind, topics: &Topics, ring: &Ring) -> Next {
    let first = match ring.after(behind.cursor) {
        Ok(_) if std::mem::take(&mut behind.skipping) => return skip(behind.cursor, topics, ring),
        Ok(entries) => return from_ring(behind, topics, ring, entries),
        Err(Off::OtherLog) => return Next::Ask(Need::Extent),
        Err(Off::Older { first }) => first,
    };
    if behind.skipping || behind.conflating {
        // Older than the ring is older than the newest.
        let missed = first.seq - behind.cursor.seq - 1;
        return Next::Tell(encode::gap(Missed::Slow(missed), first), first.before(), Told::Skipped(missed));
    }
    if std::mem::take(&mut behind.nothing_older) {
        return gap(behind.cursor, first);
    }
    let Some(page) = &behind.page else { return Next::Ask(Need::after(behind.cursor)) };
    let older = page.after(behind.cursor);
    match older.first() {
        None => Next::Ask(Need::after(behind.cursor)),
        Some(entry) if entry.position.epoch != behind.cursor.epoch => Next::Ask(Need::Extent),
        Some(entry) if entry.position.seq > behind.cursor.seq + 1 => gap(behind.cursor, entry.position),
        Some(_) => gather(behind.cursor, topics, older.iter(), |_| true).0,
    }
}

fn from_ring<'a>(behind: &Behind, topics: &Topics, ring: &Ring, entries: impl Iterator<Item = &'a Entry>) -> Next {
    if behind.cursor == ring.head() {
        return Next::Live(behind.cursor);
    }
    if !behind.conflating {
        return gather(behind.cursor, topics, entries, |_| true).0;
    }
    let (next, skipped) = gather(behind.cursor, topics, entries, |entry| ring.is_newest(entry));
    let Next::Events(kept, upto) = next else { return next };
    if skipped == 0 {
        return Next::Events(kept, upto);
    }
    // First the word; the events that are kept come with the next look, from just before them.
    let from = kept.first().map_or(upto, |entry| entry.position.before());
    Next::Tell(encode::gap(Missed::Slow(skipped), from.next()), from, Told::Skipped(skipped))
}

/// The next events of these topics.
fn gather<'a>(
    cursor: Position,
    topics: &Topics,
    entries: impl Iterator<Item = &'a Entry>,
    keep: impl Fn(&Entry) -> bool,
) -> (Next, u64) {
    let (mut upto, mut bytes, mut skipped, mut gathered) = (cursor, 0, 0, Vec::new());
    for entry in entries.take(LOOK_AT) {
        if topics.want(&entry.topic) && !entry.is_expired() {
            if keep(entry) {
                bytes += entry.frame.size();
                if !gathered.is_empty() && (bytes > GATHER || gathered.len() == BATCH) {
                    break;
                }
                gathered.push(entry.clone());
            } else if gathered.is_empty() {
                skipped += 1;
            } else {
                // What is skipped later is told later.
                break;
            }
        }
        upto = entry.position;
    }
    (Next::Events(gathered, upto), skipped)
}

/// On to the newest event of these topics.
fn skip(cursor: Position, topics: &Topics, ring: &Ring) -> Next {
    let Ok(entries) = ring.after(cursor) else { return Next::Ask(Need::Extent) };
    let (mut wanted, mut newest) = (0_u64, None);
    for entry in entries.filter(|entry| topics.want(&entry.topic)) {
        wanted += 1;
        newest = Some(entry.position);
    }
    match newest {
        Some(newest) if wanted > 1 => {
            let frame = encode::gap(Missed::Slow(wanted - 1), newest);
            Next::Tell(frame, newest.before(), Told::Skipped(wanted - 1))
        }
        Some(newest) => Next::Events(Vec::new(), newest.before()),
        None => Next::Events(Vec::new(), ring.head()),
    }
}

fn gap(cursor: Position, next: Position) -> Next {
    let missed = next.seq - cursor.seq - 1;
    Next::Tell(encode::gap(Missed::Expired(missed), next), next.before(), Told::Gap)
}

/// The cursor is not of the log that this node reads. None: it may be of what is yet to come here. Else where
/// it goes on: from the beginning of a later log, of which it has seen nothing; or after what there is, as a
/// position that is yet to come was never given.
pub(super) fn begin_anew(cursor: Position, extent: Extent, head: Position) -> Option<Position> {
    let same = extent.last.epoch == cursor.epoch;
    if head.epoch != extent.last.epoch || (same && extent.last.seq >= cursor.seq) {
        // It has seen more of the log, by way of another node, than has come here yet.
        return None;
    }
    Some(if same { extent.next() } else { extent.first })
}
