//! The Secret with the token that publishers show: made once, then kept. Its contents may be changed by hand: several
//! tokens, on lines of their own, all count, and the nodes follow in place.

use k8s_openapi::api::core::v1::Secret;
use ssefleet_crds::names::{self, Component};

use super::secret;
use crate::controller::Wanted;

pub fn publish_token(wanted: &Wanted) -> Option<Secret> {
    let token = wanted.publish_token.as_ref()?.made()?;
    let name = names::publish(&wanted.stream.name);
    Some(secret(wanted, name, Component::Node, [(names::TOKEN, token.to_owned())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{Credential, children::golden, fixtures};

    #[test]
    fn made_once() {
        insta::assert_snapshot!(golden(&publish_token(&fixtures::managed()).unwrap()));
    }

    #[test]
    fn then_kept() {
        let mut wanted = fixtures::managed();
        wanted.publish_token = Some(Credential::Kept);
        assert_eq!(publish_token(&wanted), None);
    }

    #[test]
    fn not_made_where_the_stream_says_what_publishers_show() {
        assert_eq!(publish_token(&fixtures::edge()), None);
    }
}
