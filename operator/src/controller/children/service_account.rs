//! The nodes' own `ServiceAccount`, without a token: a node never talks to the API server.

use k8s_openapi::api::core::v1::ServiceAccount;
use ssefleet_crds::names::{self, Component};

use super::metadata;
use crate::controller::Wanted;

pub fn service_account(wanted: &Wanted) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(wanted, names::node(&wanted.stream.name), Component::Node),
        automount_service_account_token: Some(false),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{children::golden, fixtures};

    #[test]
    fn has_no_token() {
        insta::assert_snapshot!(golden(&service_account(&fixtures::managed())));
    }
}
