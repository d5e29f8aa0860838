//! What is expected not to pass, and why.

/// Whom the program `conformance` is run against.
pub const COLUMNS: [&str; 4] = ["a node", "behind nginx", "behind Traefik", "Nchan"];

/// A check whose result is not `pass`.
pub struct Difference {
    pub column: &'static str,
    pub check: &'static str,
    pub result: &'static str,
    /// A sentence for `docs/conformance.md`.
    pub why: &'static str,
}

pub const DIFFERENCES: &[Difference] = &[
    of_nchan("caches", "Nchan sends no Cache-Control; nginx adds one where it is told to (`add_header`)."),
    of_nchan("head", "Nchan takes HEAD for a subscriber, who gets no answer."),
    of_nchan("method", "Nchan takes a method that it does not know for a subscriber, who gets no answer."),
    of_nchan("retry", "Nchan has no `retry:`, so that all clients come back after the same time, their own."),
    of_nchan("cors", "Nchan names the origin without `Vary: Origin`."),
    of_nchan("cors-unlisted", "Nchan refuses an unlisted origin with 403, and names it as allowed on that."),
    of_nchan("cors-preflight", "Nchan's list of allowed fields has neither Authorization nor Last-Event-ID."),
];

const fn of_nchan(check: &'static str, why: &'static str) -> Difference {
    Difference { column: "Nchan", check, result: "fail", why }
}
