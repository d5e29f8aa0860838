//! Letting go of what is more than this node's share, so that it comes back to nodes that were added. `POST /shed` on the
//! admin port asks for it: `{"connections": 200, "perSecond": 50}`. As in a drain, streams end in order, one after the
//! other, at a rate that all nodes keep together, each with a `retry:` of its own, and their clients come back uncounted.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{sync::Notify, task::AbortHandle};
use tracing::info;

use crate::{metrics::Closed, pace::Pace};

/// The largest body, in bytes.
pub const MAX_BODY: usize = 1 << 10;
/// The fastest that may be asked for.
const FASTEST: u32 = 100_000;

/// What is to be let go, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub connections: usize,
    pub per_second: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Body {
    connections: usize,
    per_second: Option<u32>,
}

/// An error is a sentence.
pub fn read(body: &[u8], usual: u32) -> Result<Wanted, String> {
    let Body { connections, per_second } = serde_json::from_slice(body)
        .map_err(|error| format!("the body must be {{\"connections\": …}}, with \"perSecond\" if need be: {error}"))?;
    match per_second.unwrap_or(usual) {
        per_second @ 1..=FASTEST => Ok(Wanted { connections, per_second }),
        _ => Err(format!("perSecond must be from 1 to {FASTEST}")),
    }
}

/// What is being let go.
#[derive(Default)]
pub struct Shedding(Mutex<Option<AbortHandle>>);

impl Shedding {
    /// Begins; what is left of an earlier one is forgotten, as who asks again knows more.
    pub fn begin(&self, wanted: Wanted, pace: Arc<Pace>) {
        info!(connections = wanted.connections, per_second = wanted.per_second, "shedding");
        let closing = tokio::spawn(async move {
            let (left, all) = (AtomicUsize::new(wanted.connections), Notify::new());
            let close = |count: usize| {
                let before = left.load(Ordering::Relaxed);
                left.store(before.saturating_sub(count), Ordering::Relaxed);
                pace.hub.close_some(count.min(before), Closed::Shed);
                if before <= count {
                    all.notify_one();
                }
            };
            tokio::select! {
                () = pace.keep(wanted.per_second, close) => {}
                () = all.notified() => {}
            }
        });
        if let Some(before) = self.0.lock().replace(closing.abort_handle()) {
            before.abort();
        }
    }
}

impl Drop for Shedding {
    fn drop(&mut self) {
        if let Some(closing) = self.0.get_mut() {
            closing.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_how_many_and_how_fast() {
        let wanted = |connections, per_second| Ok(Wanted { connections, per_second });
        assert_eq!(read(br#"{"connections": 3}"#, 200), wanted(3, 200));
        assert_eq!(read(br#"{"connections": 3, "perSecond": 7}"#, 200), wanted(3, 7));
        for wrong in [
            "",
            "{}",
            r#"{"connections": -1}"#,
            r#"{"connections": 1, "perSecond": 0}"#,
            r#"{"connections": 1, "a": 1}"#,
        ] {
            assert!(read(wrong.as_bytes(), 200).is_err(), "{wrong}");
        }
    }
}
