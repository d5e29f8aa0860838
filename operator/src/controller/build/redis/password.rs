//! The Secret with Redis' password: made once, then kept. Redis includes it as a file, so that it is in no argument.

use k8s_openapi::api::core::v1::Secret;
use ssefleet_crds::names::{self, Component};

use super::super::secret;
use crate::controller::{
    Wanted,
    credential::{AUTH_CONF, PASSWORD},
    validate::Redis,
};

pub fn password(wanted: &Wanted, redis: &Redis) -> Option<Secret> {
    let password = redis.password.made()?;
    let data = [(AUTH_CONF, format!("requirepass {password}\n")), (PASSWORD, password.to_owned())];
    Some(secret(wanted, names::redis(&wanted.stream.name), Component::Redis, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{Credential, build::golden, fixtures};

    #[test]
    fn made_once() {
        let wanted = fixtures::managed();
        insta::assert_snapshot!(golden(&password(&wanted, wanted.redis.as_ref().unwrap()).unwrap()));
    }

    #[test]
    fn then_kept() {
        let wanted = fixtures::managed();
        let mut redis = wanted.redis.clone().unwrap();
        redis.password = Credential::Kept { version: "1".into() };
        assert_eq!(password(&wanted, &redis), None);
    }
}
