//! Streams that are left alone for a while.

use kube::ResourceExt;
use ssefleet_crds::SseStream;

/// The annotation of a stream that is left as it is while it says `"true"`.
pub const PAUSED: &str = "ssefleet.dev/paused";

/// Whether someone wants the operator to keep its hands off the stream for a while.
pub(crate) fn is_paused(stream: &SseStream) -> bool {
    stream.annotations().get(PAUSED).is_some_and(|value| value == "true")
}
