//! What a token grants: topics, exact or by `prefix*`, to subscribe to or to publish to.

use std::sync::Arc;

use serde::Deserialize;

use super::members::Members;
use crate::{fanout::topics::Topics, publication::check_topic};

/// A claim of topics that is neither a list of strings nor a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoList;

#[derive(Deserialize)]
#[serde(untagged)]
enum Claim {
    Words(String),
    List(Vec<String>),
}

/// What the claim of that name grants; with an empty name, everything.
pub fn of(claims: &Members, claim: &str) -> Result<Topics, NoList> {
    if claim.is_empty() {
        return Ok(Topics::All);
    }
    let names = match claims.get::<Claim>(claim).map_err(|_| NoList)? {
        None => Vec::new(),
        Some(Claim::Words(words)) => words.split_ascii_whitespace().map(Into::into).collect(),
        Some(Claim::List(names)) => names,
    };
    Ok(to(&names))
}

/// What is no topic grants nothing: a list that has other uses too, such as `scope`, does no harm.
fn to(names: &[String]) -> Topics {
    if names.iter().any(|name| name == "*") {
        return Topics::All;
    }
    let (mut exact, mut prefixes): (Vec<Arc<str>>, Vec<Arc<str>>) = (Vec::new(), Vec::new());
    for name in names {
        let topic = name.strip_suffix('*').unwrap_or(name);
        if check_topic(topic).is_ok() {
            if topic.len() == name.len() { &mut exact } else { &mut prefixes }.push(topic.into());
        }
    }
    for names in [&mut exact, &mut prefixes] {
        names.sort_unstable();
        names.dedup();
    }
    Topics::Some { exact: exact.into(), prefixes: prefixes.into() }
}

/// Whether anything is granted.
pub fn something(topics: &Topics) -> bool {
    match topics {
        Topics::All => true,
        Topics::Some { exact, prefixes } => !exact.is_empty() || !prefixes.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grants(claims: &str) -> Result<Topics, NoList> {
        of(&serde_json::from_str(claims).unwrap(), "topics")
    }

    #[test]
    fn a_claim_is_a_list_or_words() {
        assert_eq!(grants(r#"{"topics": ["a", "orders*"]}"#), grants(r#"{"topics": " orders*  a "}"#));
        assert_eq!(grants(r#"{"topics": ["a", "*"]}"#), Ok(Topics::All));
        assert_eq!(grants(r#"{"topics": ["a", "a*b", "", "x**"]}"#), grants(r#"{"topics": "a"}"#));
        for none in [r#"{"topics": []}"#, r#"{"topics": ""}"#, r#"{"topics": null}"#, "{}"] {
            assert!(!something(&grants(none).unwrap()), "{none}");
        }
        for wrong in [r#"{"topics": 1}"#, r#"{"topics": ["a", 1]}"#, r#"{"topics": {"a": true}}"#] {
            assert_eq!(grants(wrong), Err(NoList), "{wrong}");
        }
        assert_eq!(of(&serde_json::from_str("{}").unwrap(), ""), Ok(Topics::All));
    }

    proptest! {
        #[test]
        fn nobody_gets_a_topic_that_is_not_granted(
            granted in proptest::collection::vec("[ab]{0,3}[*]?", 0..4),
            asked in proptest::collection::vec("[ab]{1,3}[*]?", 0..4),
            topic in "[ab]{1,4}",
        ) {
            let grants = to(&granted);
            if let Ok(got) = Topics::of(&asked).unwrap().within(&grants) {
                prop_assert!(!got.want(&topic) || grants.want(&topic));
            }
        }
    }
}
