//! A request as the proxy saw it.

use std::time::Instant;

use hyper::{Method, Request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Read,
    Watch,
    Create,
    Patch,
    Delete,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    /// When its answer began, or its connection was ended.
    pub answered: Option<Instant>,
    pub verb: Verb,
    /// In the plural, as in a path; a status is `ssestreams/status`.
    pub resource: String,
    /// Empty where a request names none.
    pub name: String,
    /// That of the answer, if there was one.
    pub status: Option<u16>,
}

impl Seen {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let uri = request.uri();
        let watch = uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
        let verb = match *request.method() {
            Method::POST => Verb::Create,
            Method::PATCH | Method::PUT => Verb::Patch,
            Method::DELETE => Verb::Delete,
            _ if watch => Verb::Watch,
            _ => Verb::Read,
        };
        // /api/v1/… or /apis/GROUP/VERSION/…, then perhaps namespaces/NAME, then RESOURCE/NAME/SUBRESOURCE
        let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        let rest = match parts.first() {
            Some(&"api") => parts.get(2..),
            _ => parts.get(3..),
        };
        let rest = match rest.unwrap_or_default() {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            rest => rest,
        };
        let (resource, name) = match rest {
            [resource, name, sub, ..] => (format!("{resource}/{sub}"), (*name).to_owned()),
            [resource, name] => ((*resource).to_owned(), (*name).to_owned()),
            [resource] => ((*resource).to_owned(), String::new()),
            [] => Default::default(),
        };
        Self { at: Instant::now(), answered: None, verb, resource, name, status: None }
    }

    /// Events and the lease's renewals come as they come, and are not counted.
    pub fn is_write(&self) -> bool {
        let counted = !["events", "leases"].contains(&self.resource.as_str());
        counted && matches!(self.verb, Verb::Create | Verb::Patch | Verb::Delete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_its_path() {
        let seen = |method: &str, uri: &str| {
            let seen = Seen::of(&Request::builder().method(method).uri(uri).body(()).unwrap());
            (seen.verb, seen.resource, seen.name)
        };
        let is = |verb, resource: &str, name: &str| (verb, resource.to_owned(), name.to_owned());
        assert_eq!(seen("GET", "/api/v1/services?&watch=true&a=b"), is(Verb::Watch, "services", ""));
        assert_eq!(seen("GET", "/api/v1/namespaces/n/secrets/s"), is(Verb::Read, "secrets", "s"));
        let status = "/apis/ssefleet.dev/v1alpha1/namespaces/n/ssestreams/s/status?force=true";
        assert_eq!(seen("PATCH", status), is(Verb::Patch, "ssestreams/status", "s"));
        assert_eq!(seen("POST", "/apis/apps/v1/namespaces/n/deployments"), is(Verb::Create, "deployments", ""));
    }
}
