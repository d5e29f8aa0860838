//! The Secret with the token that opens the nodes' admin ports to the operator: made once, then kept. Its contents may be
//! changed by hand: several tokens, on lines of their own, all count with the nodes, and the operator shows the first.

use k8s_openapi::api::core::v1::Secret;
use ssefleet_crds::names::{self, Component};

use super::secret;
use crate::controller::Wanted;

pub fn admin_token(wanted: &Wanted) -> Option<Secret> {
    let token = wanted.admin_token.as_ref()?.made()?;
    let name = names::admin(&wanted.stream.name);
    Some(secret(wanted, name, Component::Node, [(names::TOKEN, token.to_owned())]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{Credential, children::golden, fixtures};

    #[test]
    fn made_once() {
        insta::assert_snapshot!(golden(&admin_token(&fixtures::managed()).unwrap()));
    }

    #[test]
    fn then_kept() {
        let mut wanted = fixtures::managed();
        wanted.admin_token = Some(Credential::Kept);
        assert_eq!(admin_token(&wanted), None);
    }

    #[test]
    fn every_stream_has_one() {
        assert!(
            [fixtures::memory(), fixtures::edge(), fixtures::external()]
                .iter()
                .all(|wanted| admin_token(wanted).is_some())
        );
    }
}
