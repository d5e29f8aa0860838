//! The Secret with Redis' password: made once, then kept. Redis includes it as a file, so that it is in no argument.

use k8s_openapi::api::core::v1::Secret;
use ssefleet_crds::names::{self, Component};

use super::super::metadata;
use crate::controller::{
    Wanted,
    resolve::{AUTH_CONF, PASSWORD, Password},
    validate::Redis,
};

pub fn password(wanted: &Wanted, redis: &Redis) -> Option<Secret> {
    let Password::New(password) = &redis.password else { return None };
    let data = [(AUTH_CONF, format!("requirepass {password}\n")), (PASSWORD, password.clone())];
    Some(Secret {
        metadata: metadata(wanted, names::redis(&wanted.stream.name), Component::Redis),
        type_: Some("Opaque".into()),
        string_data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{build::golden, fixtures};

    #[test]
    fn made_once() {
        let wanted = fixtures::managed();
        insta::assert_snapshot!(golden(&password(&wanted, wanted.redis.as_ref().unwrap()).unwrap()));
    }

    #[test]
    fn then_kept() {
        let wanted = fixtures::managed();
        let mut redis = wanted.redis.clone().unwrap();
        redis.password = Password::Kept { version: "1".into() };
        assert_eq!(password(&wanted, &redis), None);
    }
}
