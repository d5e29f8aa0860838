//! `stream.yaml`: the manifest that the nodes serve. It is the stream itself, with the broker resolved and without
//! what concerns only the operator, so that changing that does not touch a node.

use serde::Serialize;
use serde_json::{Value, json};
use ssefleet_crds::{
    GROUP, SseStream, Stream,
    auth::Publish,
    broker::{self, Confirm, External, ExternalTopology, Sentinel},
    edition::{self, Edition},
    names,
    validated::Broker,
};

use super::credential::password;

/// The nodes' manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// `stream.yaml`.
    pub text: String,
    /// The part of it that a node reads at its start only, as text: what [`Stream::changed_at_start`] looks at.
    pub at_start: String,
    /// What a node that runs it tells of it.
    pub edition: Edition,
}

/// `secrets` changes with what is in the Secrets that the nodes read. `earlier` is the one that the nodes have now: a new
/// generation that changes nothing for them leaves it as it is.
/// A `serde_json` error can't happen for these types; it is passed on all the same, not swallowed.
pub(super) fn manifest(
    object: &SseStream,
    stream: &Stream,
    secrets: Option<&str>,
    earlier: Option<&str>,
) -> Result<Manifest, Box<dyn std::error::Error>> {
    let mut spec = object.spec.clone();
    spec.exposure = None;
    spec.autoscaling = None;
    // In a cluster, whoever reaches the port may not publish for that alone.
    spec.auth
        .publish
        .get_or_insert_with(|| Publish { token_secret_ref: Some(names::publish_token(&stream.name)), jwt: None });
    if let Broker::ManagedRedis(redis) = &stream.broker {
        let resolved = managed(object, stream, redis.replicated.is_some());
        spec.broker = broker::Broker { memory: None, redis: Some(resolved) };
    }
    let mut spec = serde_json::to_value(spec)?;
    if let Some(fleet) = spec.get_mut("fleet").and_then(Value::as_object_mut) {
        fleet.remove("pod");
        // A scaled fleet must not restart; but the memory broker's rule is checked by the node too.
        if stream.broker != Broker::Memory {
            fleet.remove("replicas");
        }
    }
    let metadata = json!({"name": stream.name, "namespace": stream.namespace});
    let mut broker = spec["broker"].clone();
    if let Some(redis) = broker.get_mut("redis").and_then(Value::as_object_mut) {
        redis.remove("confirm"); // is taken over while the node runs
    }
    let at_start = json!({"metadata": metadata, "broker": broker}).to_string();
    let mut document = json!({
        "apiVersion": format!("{GROUP}/v1alpha1"),
        "kind": "SseStream",
        "metadata": metadata,
        "spec": spec,
    });
    if let Some(secrets) = secrets {
        document["metadata"]["annotations"] = json!({edition::SECRETS: secrets});
    }
    let mut of = |generation: i64| {
        document["metadata"]["generation"] = generation.into();
        yaml(&document)
    };
    let newest = object.metadata.generation.unwrap_or(1);
    let edition = |generation| Edition { generation: Some(generation), secrets: secrets.map(Into::into) };
    if let (Some(earlier), Some(generation)) = (earlier, earlier.and_then(generation))
        && of(generation)? == earlier
    {
        return Ok(Manifest { text: earlier.to_owned(), at_start, edition: edition(generation) });
    }
    Ok(Manifest { text: of(newest)?, at_start, edition: edition(newest) })
}

/// The generation that a manifest says it is of.
fn generation(manifest: &str) -> Option<i64> {
    serde_saphyr::from_str::<Value>(manifest).ok()?["metadata"]["generation"].as_i64()
}

fn managed(object: &SseStream, stream: &Stream, replicated: bool) -> broker::Redis {
    let declared = object.spec.broker.redis.as_ref().and_then(|redis| redis.confirm.clone()).unwrap_or_default();
    let replicas = stream.confirm.replicas;
    let confirm = (replicas > 0).then_some(Confirm { replicas: Some(replicas), ..declared });
    let host = format!("{}.{}.svc", names::redis(&stream.name), stream.namespace);
    let password_secret_ref = Some(password(&stream.name));
    let external = if replicated {
        let sentinel = Sentinel {
            master_name: names::PRIMARY.into(),
            password_secret_ref: password_secret_ref.clone(),
            username_secret_ref: None,
        };
        External {
            url: format!("redis://{host}:26379"),
            topology: ExternalTopology::Sentinel,
            sentinel: Some(sentinel),
            password_secret_ref,
            ..Default::default()
        }
    } else {
        External { url: format!("redis://{host}:6379"), password_secret_ref, ..Default::default() }
    };
    broker::Redis {
        external: Some(external),
        managed: None,
        broadcast_channel: stream.broadcast_channel.clone().unwrap_or_default(),
        confirm,
    }
}

fn yaml(document: &impl Serialize) -> Result<String, Box<dyn std::error::Error>> {
    Ok(serde_saphyr::to_string(document)?)
}

#[cfg(test)]
mod tests {
    use ssefleet_crds::{Stream, edition::Edition, manifest, names};

    use super::Manifest;
    use crate::controller::fixtures;

    #[test]
    fn a_node_takes_the_manifest_as_it_is() {
        for wanted in [fixtures::memory(), fixtures::managed(), fixtures::replicated(), fixtures::external()] {
            let read = manifest::read(&wanted.manifest.text).unwrap();
            assert_eq!(read.metadata.name.as_deref(), Some("quotes"), "{}", wanted.manifest.text);
            assert_eq!(read.spec.exposure, None);
        }
    }

    /// The stream that a node makes of the manifest for such a spec.
    fn served(spec: &str) -> (Stream, Manifest) {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        (Stream::try_from(&manifest::read(&wanted.manifest.text).unwrap()).unwrap(), wanted.manifest)
    }

    #[test]
    fn only_what_a_node_reads_at_its_start_counts_as_such() {
        let (before, manifest) = served("{}");
        for spec in [
            fixtures::EDGE,
            "path: /other",
            "connections: {maxPerPod: 7}",
            "rateLimits: {connect: {max: 3}}",
            "cors: {allowedOrigins: [\"*\"]}",
            "compression: {mode: Transport}",
            "history: {maxEvents: 7}",
            "fleet: {drain: {reconnectsPerSecond: 7}}",
            "exposure: {ingress: {controller: Traefik}}",
            "broker: {redis: {managed: {}, broadcastChannel: other}}",
            "broker: {redis: {external: {url: \"redis://other:6379\"}}}",
            "broker: {redis: {external: {url: \"redis://quotes-redis.market.svc:6379\"}}}",
        ] {
            let (now, changed) = served(spec);
            let restarts = !before.changed_at_start(&now).is_empty();
            assert_eq!(restarts, changed.at_start != manifest.at_start, "{spec}: {:?}", before.changed_at_start(&now));
            assert_eq!(restarts, spec.starts_with("broker"), "{spec}");
        }
    }

    #[test]
    fn how_many_replicas_confirm_is_told_to_the_nodes_and_restarts_nothing() {
        let spec = |confirm: &str| format!("broker: {{redis: {{managed: {{topology: Replicated}}{confirm}}}}}");
        let (before, manifest) = served(&spec(""));
        assert_eq!((before.confirm.replicas, before.confirm.timeout.as_millis()), (1, 1000));
        let (now, changed) = served(&spec(", confirm: {replicas: 2, timeout: 3s}"));
        assert_eq!((now.confirm.replicas, now.confirm.timeout.as_millis()), (2, 3000));
        assert_eq!(before.changed_at_start(&now), [""; 0]);
        assert_eq!(manifest.at_start, changed.at_start);
    }

    #[test]
    fn publishers_show_the_token_that_the_operator_makes_unless_the_stream_says_otherwise() {
        let publish = |spec: &str| served(spec).0.auth.publish.unwrap();
        assert_eq!(publish("{}").token_secret_ref, Some(names::publish_token("quotes")));
        let own = publish("auth: {publish: {tokenSecretRef: {name: mine, key: a}}}");
        assert_eq!(own.token_secret_ref.unwrap().name, "mine");
        assert_eq!(publish(fixtures::EDGE).token_secret_ref, None);
    }

    #[test]
    fn the_generation_is_that_which_last_changed_what_nodes_read() {
        let with = |generation, spec: &str, secrets, earlier: Option<&str>| {
            let mut object = fixtures::stream(fixtures::yaml(spec));
            object.metadata.generation = Some(generation);
            super::manifest(&object, &Stream::try_from(&object).unwrap(), secrets, earlier).unwrap()
        };
        let of = |generation, spec, earlier| with(generation, spec, Some("5ec"), earlier);
        let first = of(1, "{}", None);
        let scaled = of(2, "fleet: {replicas: 7}", Some(&first.text));
        assert_eq!(scaled, first);
        let changed = of(3, "fleet: {replicas: 7}\nconnections: {maxPerPod: 7}", Some(&scaled.text));
        assert_eq!(changed.edition.generation, Some(3));
        assert_eq!(manifest::read(&changed.text).unwrap().metadata.generation, Some(3));
        let rotated = with(4, "fleet: {replicas: 3}\nconnections: {maxPerPod: 7}", Some("5ed"), Some(&changed.text));
        assert_eq!(rotated.edition, Edition { generation: Some(4), secrets: Some("5ed".into()) });
        assert_eq!(Edition::from(&manifest::read(&rotated.text).unwrap()), rotated.edition);
        assert_eq!(of(4, "{}", Some(&changed.text)).edition.generation, Some(4));
        assert_eq!(of(5, "{}", Some("edited by hand")).edition.generation, Some(5));
    }

    #[test]
    fn what_concerns_only_the_operator_does_not_touch_a_node() {
        let plain = fixtures::managed();
        let changed = fixtures::wanted(fixtures::yaml(
            "fleet: {replicas: 7, pod: {image: other}}\nexposure: {ingress: {controller: Traefik}}\nautoscaling: {}",
        ));
        assert_eq!(plain.manifest, changed.manifest);
    }
}
