//! What does not pass by itself: someone has to act, and is told how.

/// What keeps a stream from being as it should, until someone acts.
#[derive(Debug, PartialEq)]
pub(super) struct Blocked {
    /// In one word, for conditions and events.
    pub reason: &'static str,
    /// A sentence that says what to do.
    pub message: String,
    /// Whether it is the broker that can't work because of it.
    pub broker: bool,
}

/// Whether the API server has refused a request for good, and with what words. Conflicts, throttling and everything
/// without an answer pass by themselves.
pub(super) fn refusal(error: &kube::Error) -> Option<&str> {
    let kube::Error::Api(status) = error else { return None };
    let for_good = (400..500).contains(&status.code) && ![408, 409, 429].contains(&status.code);
    (for_good || status.message.contains(UNKNOWN_FIELD)).then_some(&status.message)
}

/// What a server-side apply is told of a field that an older kind does not have: with 500, as if that were the server's
/// fault.
const UNKNOWN_FIELD: &str = "field not declared in schema";
