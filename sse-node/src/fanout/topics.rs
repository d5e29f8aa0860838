//! Which topics a subscriber wants: all, or some by name or by `prefix*`.

use std::sync::Arc;

use crate::publication::check_topic;

/// The most topics one subscription may name.
pub const MAX_TOPICS: usize = 100;

/// The topics of one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topics {
    All,
    Some { exact: Box<[Arc<str>]>, prefixes: Box<[Arc<str>]> },
}

/// Why a subscription's topics were refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTopics {
    #[error(
        "at most {MAX_TOPICS} topics in one subscription; use a prefix, such as topic=orders*, or subscribe to all"
    )]
    TooMany,
    #[error("topic {0:?}: {1}; '*' may only be its last character, for a prefix")]
    Bad(String, &'static str),
}

impl Topics {
    /// From the values of `?topic=`; none of them means all.
    pub fn of<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, BadTopics> {
        let (mut exact, mut prefixes, mut count): (Vec<Arc<str>>, Vec<Arc<str>>, _) = (Vec::new(), Vec::new(), 0);
        let mut all = false;
        for name in names {
            let name = name.as_ref();
            count += 1;
            if count > MAX_TOPICS {
                return Err(BadTopics::TooMany);
            }
            let topic = name.strip_suffix('*').unwrap_or(name);
            if name == "*" {
                all = true;
                continue;
            }
            check_topic(topic).map_err(|why| BadTopics::Bad(name.chars().take(80).collect(), why))?;
            if topic.len() == name.len() {
                exact.push(topic.into());
            } else {
                prefixes.push(topic.into());
            }
        }
        for names in [&mut exact, &mut prefixes] {
            names.sort_unstable();
            names.dedup();
        }
        Ok(if all || count == 0 { Self::All } else { Self::Some { exact: exact.into(), prefixes: prefixes.into() } })
    }

    /// These topics, if all of them are granted; all that are granted, where all are wanted. Else one that is
    /// not.
    pub fn within(self, grants: &Self) -> Result<Self, String> {
        let Self::Some { exact: granted, prefixes: granted_prefixes } = grants else { return Ok(self) };
        let Self::Some { exact, prefixes } = &self else {
            return Ok(Self::Some { exact: granted.clone(), prefixes: granted_prefixes.clone() });
        };
        if let Some(topic) = exact.iter().find(|topic| !grants.want(topic)) {
            return Err((**topic).into());
        }
        let below = |prefix: &str| granted_prefixes.iter().any(|granted| prefix.starts_with(&**granted));
        match prefixes.iter().find(|prefix| !below(prefix)) {
            Some(prefix) => Err(format!("{prefix}*")),
            None => Ok(self),
        }
    }

    /// Whether events of this topic are wanted.
    pub fn want(&self, topic: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some { exact, prefixes } => {
                exact.binary_search_by(|name| (**name).cmp(topic)).is_ok()
                    || prefixes.iter().any(|prefix| topic.starts_with(&**prefix))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_wanted_by_name_and_by_prefix() {
        let topics = Topics::of(["a", "orders*"]).unwrap();
        for wanted in ["a", "orders", "orders/1"] {
            assert!(topics.want(wanted), "{wanted}");
        }
        for unwanted in ["", "b", "ab", "order", "xorders"] {
            assert!(!topics.want(unwanted), "{unwanted}");
        }
        assert!(Topics::of([""; 0]).unwrap().want("anything"));
        assert!(Topics::of(["a", "*"]).unwrap().want("anything"));
    }

    #[test]
    fn only_what_is_granted_can_be_had() {
        let of = |names: &[&str]| Topics::of(names).unwrap();
        let grants = of(&["a", "orders*"]);
        for asked in [&["a"][..], &["orders"], &["orders/1", "a"], &["orders*"], &["orders/eu*"]] {
            assert_eq!(of(asked).within(&grants), Ok(of(asked)), "{asked:?}");
        }
        for (asked, refused) in
            [(&["b"][..], "b"), (&["a*"], "a*"), (&["a", "order*"], "order*"), (&["order"], "order")]
        {
            assert_eq!(of(asked).within(&grants), Err(refused.to_owned()), "{asked:?}");
        }
        assert_eq!(of(&[]).within(&grants), Ok(grants.clone()));
        assert_eq!(of(&["*"]).within(&grants), Ok(grants));
        assert_eq!(of(&["a", "b*"]).within(&Topics::All), Ok(of(&["a", "b*"])));
        let none = Topics::Some { exact: [].into(), prefixes: [].into() };
        assert_eq!(of(&["a"]).within(&none), Err("a".to_owned()));
        assert_eq!(of(&[]).within(&none), Ok(none));
    }

    #[test]
    fn bad_topics_are_refused_with_a_sentence() {
        for bad in ["", "a*b", "a**", "a\nb", &"x".repeat(300)] {
            assert!(matches!(Topics::of([bad]), Err(BadTopics::Bad(..))), "{bad}");
        }
        assert_eq!(Topics::of(vec!["t"; 101]), Err(BadTopics::TooMany));
    }
}
