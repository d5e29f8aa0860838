//! `stream.yaml`: the manifest that the nodes serve. It is the stream itself, with the broker resolved and without
//! what concerns only the operator, so that changing that does not touch a node.

use serde::Serialize;
use serde_json::{Value, json};
use ssefleet_crds::{
    GROUP, SseStream, Stream,
    broker::{self, External},
    names,
    validated::Broker,
};

use super::validate::password;

/// A `serde_json` error can't happen for these types; it is passed on all the same, not swallowed.
pub(super) fn manifest(object: &SseStream, stream: &Stream) -> Result<String, Box<dyn std::error::Error>> {
    let mut spec = object.spec.clone();
    spec.exposure = None;
    if let Broker::ManagedRedis(_) = stream.broker {
        spec.broker = broker::Broker { memory: None, redis: Some(managed(stream)) };
    }
    let mut spec = serde_json::to_value(spec)?;
    if let Some(fleet) = spec.get_mut("fleet").and_then(Value::as_object_mut) {
        fleet.remove("pod");
        // A scaled fleet must not restart; but the memory broker's rule is checked by the node too.
        if stream.broker != Broker::Memory {
            fleet.remove("replicas");
        }
    }
    yaml(&json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "SseStream",
        "metadata": {"name": stream.name, "namespace": stream.namespace},
        "spec": spec,
    }))
}

fn managed(stream: &Stream) -> broker::Redis {
    let url = format!("redis://{}.{}.svc:6379", names::redis(&stream.name), stream.namespace);
    let password_secret_ref = Some(password(&stream.name));
    broker::Redis {
        external: Some(External { url, password_secret_ref, ..Default::default() }),
        managed: None,
        broadcast_channel: stream.broadcast_channel.clone().unwrap_or_default(),
    }
}

fn yaml(document: &impl Serialize) -> Result<String, Box<dyn std::error::Error>> {
    Ok(serde_saphyr::to_string(document)?)
}

#[cfg(test)]
mod tests {
    use ssefleet_crds::manifest;

    use crate::controller::fixtures;

    #[test]
    fn a_node_takes_the_manifest_as_it_is() {
        for wanted in [fixtures::memory(), fixtures::managed(), fixtures::external()] {
            let read = manifest::read(&wanted.manifest).unwrap();
            assert_eq!(read.metadata.name.as_deref(), Some("quotes"), "{}", wanted.manifest);
            assert_eq!(read.spec.exposure, None);
        }
    }

    #[test]
    fn what_concerns_only_the_operator_does_not_touch_a_node() {
        let plain = fixtures::managed();
        let changed = fixtures::wanted(fixtures::yaml(
            "fleet: {replicas: 7, pod: {image: other}}\nexposure: {ingress: {controller: Traefik}}",
        ));
        assert_eq!(plain.manifest, changed.manifest);
    }
}
