//! The Secret with Redis' password: made once, then the user's to change. The pods follow it (`scripts/keeper.sh`).

use k8s_openapi::api::core::v1::Secret;
use ssefleet_crds::names::{self, Component};

use super::super::secret;
use crate::controller::{Wanted, credential::PASSWORD, validate::Redis};

pub fn password(wanted: &Wanted, redis: &Redis) -> Option<Secret> {
    let data = [(PASSWORD, redis.password.made()?.to_owned())];
    Some(secret(wanted, names::redis(&wanted.stream.name), Component::Redis, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{Credential, children::golden, fixtures};

    #[test]
    fn made_once() {
        let wanted = fixtures::managed();
        insta::assert_snapshot!(golden(&password(&wanted, wanted.redis.as_ref().unwrap()).unwrap()));
    }

    #[test]
    fn then_kept() {
        let wanted = fixtures::managed();
        let mut redis = wanted.redis.clone().unwrap();
        redis.password = Credential::Kept;
        assert_eq!(password(&wanted, &redis), None);
    }
}
