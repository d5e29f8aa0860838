//! The CORS protocol of the Fetch standard, <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use hyper::{HeaderMap, Method};

use super::{Otherwise, Outcome, Probe, fail};

/// What is in nobody's list (RFC 6761, 6.4).
const UNLISTED: &str = "https://unlisted.invalid";

fn field<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn names(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

fn listed_origin(probe: &Probe) -> Result<&str, Otherwise> {
    probe.origin.as_deref().ok_or(Otherwise::NotTested("needs --origin"))
}

pub async fn listed(probe: &Probe) -> Outcome {
    let origin = listed_origin(probe)?;
    let headers = probe.open(&[("origin", origin)]).await?.head.headers;
    let allowed = field(&headers, "access-control-allow-origin");
    let credentials = field(&headers, "access-control-allow-credentials") == "true";
    if allowed == "*" {
        return if credentials { fail("* with credentials, which browsers refuse") } else { Ok("*".into()) };
    }
    if allowed != origin {
        return fail(format!("Access-Control-Allow-Origin is {allowed:?}"));
    }
    // Else a cache may give one page the answer that was meant for another.
    if !names(&headers, "vary").iter().any(|name| name == "origin" || name == "*") {
        return fail("the origin is named, without Vary: Origin");
    }
    Ok(if credentials { "the origin, with credentials; Vary: Origin" } else { "the origin; Vary: Origin" }.into())
}

/// Refusing such a request is a way too: a page then cannot even tell a stream from an error.
pub async fn unlisted(probe: &Probe) -> Outcome {
    let fields = [("accept", "text/event-stream"), ("origin", UNLISTED)];
    let response = probe.target.send(Method::GET, None, &fields, "").await?;
    let status = response.status().as_u16();
    match field(response.headers(), "access-control-allow-origin") {
        "" => Ok(format!("{status}, no CORS field")),
        "*" if field(response.headers(), "access-control-allow-credentials") != "true" => Ok("* for all".into()),
        allowed => fail(format!("Access-Control-Allow-Origin is {allowed:?}, which no one has listed")),
    }
}

pub async fn preflight(probe: &Probe) -> Outcome {
    let origin = listed_origin(probe)?;
    let wanted = ["authorization", "cache-control", "last-event-id"];
    let fields = [
        ("origin", origin),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", &wanted.join(",")),
    ];
    let response = probe.target.send(Method::OPTIONS, None, &fields, "").await?;
    let (status, headers) = (response.status(), response.headers());
    let allowed = field(headers, "access-control-allow-origin");
    if !status.is_success() || (allowed != origin && allowed != "*") {
        return fail(format!("{}, Access-Control-Allow-Origin {allowed:?}", status.as_u16()));
    }
    let names = names(headers, "access-control-allow-headers");
    // A * does not stand for Authorization.
    let is_allowed = |name: &str| names.iter().any(|n| n == name || (n == "*" && name != "authorization"));
    let missing: Vec<_> = wanted.into_iter().filter(|name| !is_allowed(name)).collect();
    if !missing.is_empty() {
        return fail(format!("{} may not be sent", missing.join(", ")));
    }
    let age = field(headers, "access-control-max-age");
    Ok(format!("{}, to be kept for {} s", status.as_u16(), if age.is_empty() { "5" } else { age }))
}
