//! Which web pages may read an answer: the CORS protocol of the Fetch standard,
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>.
//!
//! What is answered to an origin that is not on the list is what is answered to none: its name is never
//! repeated. Every answer says by `Vary` that it may differ by origin, so that no cache mixes them.

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use ssefleet_crds::validated::Cors;

use super::respond::{self, Response};

/// What a page may send besides what every page may: `EventSource` sends the first two by itself when it is
/// one of a library, browsers' own do so without asking.
const ALLOWED: &str = "authorization, cache-control, last-event-id";
/// What a page may read besides what every page may.
const EXPOSED: &str = "ratelimit-limit, ratelimit-policy, ratelimit-remaining, ratelimit-reset, retry-after, x-sse-connection, x-sse-node";

/// Header fields to add to an answer.
pub type Added = Vec<(&'static str, String)>;

/// What an answer to a request of this origin carries. Nothing if the stream is not for pages of other origins.
pub fn fields(cors: Option<&Cors>, origin: Option<&str>) -> Added {
    let Some(cors) = cors else { return Vec::new() };
    let mut fields = vec![("vary", "origin".to_owned())];
    if let Some(origin) = origin.filter(|origin| allows(&cors.allowed_origins, origin)) {
        let any = cors.allowed_origins.iter().any(|allowed| allowed == "*");
        fields.push(("access-control-allow-origin", if any { "*".into() } else { origin.to_owned() }));
        if cors.allow_credentials {
            fields.push(("access-control-allow-credentials", "true".into()));
        }
        fields.push(("access-control-expose-headers", EXPOSED.into()));
    }
    fields
}

/// The answer to a preflight, if this is one.
pub fn preflight(cors: Option<&Cors>, origin: Option<&str>, wanted_method: Option<&str>) -> Option<Response> {
    let (cors, origin, _) = (cors?, origin?, wanted_method?);
    let mut response = respond::text("text/plain", Bytes::new());
    *response.status_mut() = StatusCode::OK;
    let mut added = fields(Some(cors), Some(origin));
    if allows(&cors.allowed_origins, origin) {
        added.retain(|(name, _)| *name != "access-control-expose-headers");
        added.push(("access-control-allow-methods", "GET, HEAD".into()));
        added.push(("access-control-allow-headers", ALLOWED.into()));
        added.push(("access-control-max-age", cors.max_age.as_secs().to_string()));
    }
    Some(with(response, &added))
}

/// The answer with more header fields.
pub fn with(mut response: Response, added: &[(&'static str, String)]) -> Response {
    for (name, value) in added {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Whether the list has this origin. A wildcard stands for one label or several, never for none, and not for a
/// port or another scheme.
fn allows(list: &[String], origin: &str) -> bool {
    list.iter().any(|allowed| {
        if allowed == "*" || allowed == origin {
            return true;
        }
        let Some((scheme, domain)) = allowed.split_once("://*") else { return false };
        let host = origin.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        host.and_then(|host| host.strip_suffix(domain)).is_some_and(|below| {
            !below.is_empty()
                && below.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole_and_wildcards_stand_for_labels() {
        let list = ["https://app.example.com".to_owned(), "https://*.example.org".into(), "http://*.local:3000".into()];
        for good in
            ["https://app.example.com", "https://a.example.org", "https://a.b.example.org", "http://x.local:3000"]
        {
            assert!(allows(&list, good), "{good}");
        }
        for bad in [
            "",
            "null",
            "https://app.example.com:8443",
            "http://app.example.com",
            "https://example.org",
            "https://.example.org",
            "https://evil.com/.example.org",
            "https://evil.com:443.example.org",
            "https://user@a.example.org",
            "https://evilexample.org",
            "https://a.example.org.evil.com",
            "http://a.example.org",
            "http://x.local",
            "https://app.example.com.evil.com",
        ] {
            assert!(!allows(&list, bad), "{bad}");
        }
        assert!(allows(&["*".into()], "null"));
    }

    #[test]
    fn an_origin_off_the_list_is_told_nothing() {
        let cors = |origins: &[&str], allow_credentials| Cors {
            allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            allow_credentials,
            max_age: std::time::Duration::from_mins(10),
        };
        let listed = cors(&["https://app.example.com"], true);
        assert_eq!(fields(Some(&listed), Some("https://evil.com")), [("vary", "origin".to_owned())]);
        assert_eq!(fields(Some(&listed), None), [("vary", "origin".to_owned())]);
        assert_eq!(fields(None, Some("https://app.example.com")), []);
        assert!(
            fields(Some(&listed), Some("https://app.example.com"))
                .contains(&("access-control-allow-credentials", "true".into()))
        );
        let any = fields(Some(&cors(&["*"], false)), Some("https://anyone.com"));
        assert!(any.contains(&("access-control-allow-origin", "*".into())), "{any:?}");
    }
}
