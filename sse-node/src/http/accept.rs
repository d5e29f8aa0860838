//! What a client accepts: the members of its `Accept` and `Accept-Encoding`, and how much it wants each (RFC 9110,
//! 12.4.2). And so how an event stream is coded for it.

use ssefleet_crds::compression::CompressionMode;

use super::fields::Fields;
use crate::encode::Coding;

/// How an answer is coded, and the header fields that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coded {
    pub coding: Coding,
    pub fields: &'static [(&'static str, &'static str)],
}

/// By what the client accepts, and what the stream offers.
pub fn coded(mode: CompressionMode, fields: Fields<'_>) -> Coded {
    match mode {
        CompressionMode::Off | CompressionMode::Envelope => Coded { coding: Coding::Identity, fields: &[] },
        CompressionMode::Transport if wants_gzip(&fields.all("accept-encoding")) => {
            Coded { coding: Coding::Gzip, fields: &[("content-encoding", "gzip"), ("vary", "accept-encoding")] }
        }
        // A cache must not give this one to others who would have got the other.
        CompressionMode::Transport => Coded { coding: Coding::Identity, fields: &[("vary", "accept-encoding")] },
    }
}

/// Whether JSON is wanted, and more than text.
pub fn wants_json(fields: Fields<'_>) -> bool {
    let accepted = &fields.all("accept");
    let json = weight(accepted, "application/json").unwrap_or(0);
    json > 0 && json > weight(accepted, "text/plain").unwrap_or(0)
}

/// RFC 9110, 12.5.3: what is not named is as `*`, and of several the one with the greatest weight is preferred. Who
/// names nothing gets what every client can read.
fn wants_gzip(accepted: &[&str]) -> bool {
    let of = |name| weight(accepted, name);
    let gzip = of("gzip").or_else(|| of("x-gzip")).or_else(|| of("*")).unwrap_or(0);
    gzip > 0 && gzip >= of("identity").unwrap_or(0)
}

/// The weight of what is named, in thousandths; none if it isn't.
fn weight(fields: &[&str], name: &str) -> Option<u16> {
    fields.iter().flat_map(|field| field.split(',')).find_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(name) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(weight.map_or(1000, thousandths))
    })
}

/// `1`, `0.5`, `0.333`; anything else is not wanted.
fn thousandths(weight: &str) -> u16 {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let part: u16 = format!("{part:0<3}").parse().unwrap_or(0);
    match whole {
        "0" => part,
        "1" if part == 0 => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gzip_is_for_those_who_accept_it() {
        for wanted in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip;q=1.0, *;q=0.5",
            "gzip, deflate, br, zstd",
            "*",
            "br;q=1, *;q=0.1",
            "gzip;q=0.001",
            "identity;q=0.5, gzip;q=0.5",
            "gzip ; q=0.8",
        ] {
            assert!(wants_gzip(&[wanted]), "{wanted}");
        }
        for unwanted in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "gzip;q=0.5, identity",
            "gzip;q=2",
            "gzip;q=0.1234",
            "gzip;q=",
            "gzip;q=-1",
            "notgzip",
            "gzip2",
        ] {
            assert!(!wants_gzip(&[unwanted]), "{unwanted}");
        }
        assert!(!wants_gzip(&[]));
        assert!(wants_gzip(&["br", "gzip"]), "a list in two fields is one list");
        assert!(!wants_gzip(&["br", "gzip;q=0"]));
    }

    #[test]
    fn json_is_for_those_who_want_it_more_than_text() {
        for wanted in ["application/json", "text/plain;q=0.5, application/json", "application/json, */*"] {
            assert!(wants_json(Fields::Raw(&[("accept", wanted)])), "{wanted}");
        }
        // The second is Prometheus'.
        for unwanted in ["", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/plain, application/json", "*/*"] {
            assert!(!wants_json(Fields::Raw(&[("accept", unwanted)])), "{unwanted}");
        }
    }

    proptest! {
        #[test]
        fn no_field_makes_it_panic(field in ".{0,60}", weight in "[0-9.;q=]{0,8}") {
            let _ = wants_gzip(&[&field, &format!("gzip;q={weight}")]);
        }
    }
}
