//! What a request to subscribe says, by whatever protocol it came: all that is known of one before it is let in.

use std::{borrow::Cow, net::SocketAddr};

use ssefleet_crds::connections::RefuseWith;

use super::fields::Fields;

/// What a request to subscribe says, by whatever protocol it came.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub query: &'a str,
    pub fields: Fields<'a>,
    pub peer: SocketAddr,
}

impl<'a> Ask<'a> {
    /// The values of a parameter.
    pub fn parameters(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        form_urlencoded::parse(self.query.as_bytes()).filter(move |(key, _)| key == name).map(|(_, value)| value)
    }

    /// It asks as a browser's EventSource does. Which browsers say by `Sec-Fetch-Mode`, but not by plain HTTP
    /// (<https://www.w3.org/TR/fetch-metadata/#fetch-integration>), and not those of before 2023.
    pub fn is_by_event_source(&self) -> bool {
        let accepts = self.fields.first("accept").is_some_and(|accept| accept.contains("text/event-stream"));
        let is_browser = || self.fields.first("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
        accepts && (self.fields.first("sec-fetch-mode").is_some() || is_browser())
    }

    /// Whether it is refused by a stream that only says when to come back, which a browser's EventSource
    /// survives, or by a status, which it does not.
    pub fn survives_only_a_stream(&self, refuse_with: RefuseWith) -> bool {
        match refuse_with {
            RefuseWith::Status => false,
            RefuseWith::Auto => self.is_by_event_source(),
            RefuseWith::Retry => true,
        }
    }
}
