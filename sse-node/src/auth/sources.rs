//! Where a token is looked for: header fields, query parameters and cookies, in the order of the manifest. The first
//! place that has one counts, whatever the others hold.

use std::borrow::Cow;

use ssefleet_crds::auth::TokenSource;

use super::denied::Denied;
use crate::http::fields::Fields;

/// The token of a request. None: there is no token anywhere. A place that has two of them is refused: which one is
/// meant is not for us to guess, and a proxy may have looked at the other.
pub fn token<'a>(fields: Fields<'a>, query: &'a str, sources: &[TokenSource]) -> Result<Option<Cow<'a, str>>, Denied> {
    for source in sources {
        let found = match source {
            TokenSource { header: Some(name), .. } => field(fields, name)?,
            TokenSource { query: Some(name), .. } => parameter(query, name)?,
            TokenSource { cookie: Some(name), .. } => cookie(fields, name)?,
            TokenSource { .. } => None,
        };
        if let Some(token) = found.filter(|token| !token.is_empty()) {
            return Ok(Some(token));
        }
    }
    Ok(None)
}

fn field<'a>(fields: Fields<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Denied> {
    let Some(value) = only(fields.all(name), || format!("the header field {name}"))? else { return Ok(None) };
    let token = if name.eq_ignore_ascii_case("authorization") { bearer(value) } else { Some(value.trim()) };
    Ok(token.map(Cow::Borrowed))
}

/// What stands after `Bearer `, RFC 6750 2.1; other schemes are none of ours.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn parameter<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Denied> {
    let values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value);
    only(values, || format!("the query parameter {name}"))
}

/// A client may send its cookies in several fields (RFC 9113 8.2.3).
fn cookie<'a>(fields: Fields<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Denied> {
    let pairs = fields.all("cookie").into_iter().flat_map(|field| field.split(';'));
    let values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name);
    only(values.map(|(_, value)| Cow::Borrowed(value.trim_matches('"'))), || format!("the cookie {name}"))
}

/// How to show a token, for who showed none.
pub fn how(sources: &[TokenSource]) -> String {
    let places = sources.iter().filter_map(|source| match source {
        TokenSource { header: Some(name), .. } if name.eq_ignore_ascii_case("authorization") => {
            Some("in the header field Authorization: Bearer TOKEN".to_owned())
        }
        TokenSource { header: Some(name), .. } => Some(format!("in the header field {name}")),
        TokenSource { query: Some(name), .. } => Some(format!("by ?{name}=TOKEN")),
        TokenSource { cookie: Some(name), .. } => Some(format!("in the cookie {name}")),
        TokenSource { .. } => None,
    });
    format!("a token is needed: send it {}", places.collect::<Vec<_>>().join(", or "))
}

fn only<T>(values: impl IntoIterator<Item = T>, what: impl Fn() -> String) -> Result<Option<T>, Denied> {
    let mut values = values.into_iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Denied::Ambiguous(format!("{} is there more than once: send one token", what())));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Said(&'static [(&'static str, &'static str)], &'static str);

    #[test]
    fn the_first_place_that_has_a_token_counts() {
        let header = |name: &str| TokenSource { header: Some(name.into()), ..TokenSource::default() };
        let query = TokenSource { query: Some("token".into()), ..TokenSource::default() };
        let session = TokenSource { cookie: Some("session".into()), ..TokenSource::default() };
        let all = [header("Authorization"), query, session, header("X-Token")];
        let find = |said: &Said| token(Fields::Raw(said.0), said.1, &all).map(|found| found.map(Cow::into_owned));
        for (said, found) in [
            (Said(&[], ""), None),
            (Said(&[("authorization", "Bearer a.b.c")], "token=x"), Some("a.b.c")),
            (Said(&[("AUTHORIZATION", "bearer  a.b.c ")], ""), Some("a.b.c")),
            (Said(&[("authorization", "Basic a.b.c")], "x=1&token=x%2Ey"), Some("x.y")),
            (Said(&[("authorization", "Bearer ")], "token=&t=1"), None),
            (Said(&[("cookie", "a=b; session=c"), ("cookie", "d=e")], ""), Some("c")),
            (Said(&[("cookie", "a=b"), ("cookie", "session=\"c\"")], ""), Some("c")),
            (Said(&[("cookie", "session=c"), ("x-token", "d")], ""), Some("c")),
            (Said(&[("cookie", "xsession=c"), ("x-token", "d")], "tokens=1"), Some("d")),
        ] {
            assert_eq!(find(&said), Ok(found.map(Into::into)), "{:?} {}", said.0, said.1);
        }
        for twice in [
            Said(&[("authorization", "Bearer a"), ("authorization", "Bearer a")], ""),
            Said(&[("authorization", "Basic a"), ("Authorization", "Bearer a")], ""),
            Said(&[], "token=a&token=b"),
            Said(&[("cookie", "session=a; session=b")], ""),
        ] {
            assert!(matches!(find(&twice), Err(Denied::Ambiguous(_))), "{:?} {}", twice.0, twice.1);
        }
    }
}
