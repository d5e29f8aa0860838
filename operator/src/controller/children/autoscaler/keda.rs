//! `autoscaling.mode: Keda`: a ScaledObject, <https://keda.sh/docs/latest/reference/scaledobject-spec/>, with a
//! Prometheus trigger. KEDA makes an HPA of it by itself.

use serde_json::json;
use ssefleet_crds::{
    GROUP,
    autoscaling::AutoscalingMode,
    names::{self, Component},
};

use super::behavior;
use crate::{
    controller::{
        Wanted,
        children::{OptionalChild, exposure::dynamic},
    },
    optional::Kind,
};

pub fn scaled_object(wanted: &Wanted) -> Option<OptionalChild> {
    let stream = &wanted.stream;
    if !wanted.kinds.contains(&Kind::ScaledObject) {
        return None;
    }
    let scaling = stream.autoscaling.as_ref().filter(|scaling| scaling.mode == AutoscalingMode::Keda)?;
    let keda = scaling.keda.as_ref()?;
    let target = scaling.target_connections(stream.connections.max_per_pod);
    let connections = json!({
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": keda.prometheus_address,
            "query": query(&stream.namespace, &stream.name),
            "threshold": target.to_string(),
            // No sample is no number: KEDA then leaves things as they are, rather than to take it for no connection.
            "ignoreNullValues": "false",
        },
    });
    let cpu = scaling
        .target_cpu_percent
        .map(|percent| json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": percent.to_string()}}));
    let spec = json!({
        "scaleTargetRef": {"apiVersion": format!("{GROUP}/v1alpha1"), "kind": "SseStream", "name": stream.name},
        "pollingInterval": 15,
        "minReplicaCount": scaling.min_replicas,
        "maxReplicaCount": scaling.max_replicas,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(scaling)}},
        "triggers": std::iter::once(connections).chain(cpu).collect::<Vec<_>>(),
    });
    Some(dynamic(wanted, Kind::ScaledObject, names::node(&stream.name), Component::Node, &spec))
}

/// The connections of this stream's nodes. The names of its pods end in those of a ReplicaSet and a pod; so those of a
/// stream whose name begins with this one's are not among them.
fn query(namespace: &str, stream: &str) -> String {
    format!(r#"sum(ssefleet_node_connections{{namespace="{namespace}",pod=~"{stream}-[a-z0-9]+-[a-z0-9]{{5}}"}})"#)
}

#[cfg(test)]
mod tests {
    use crate::controller::{
        children::{build, golden},
        fixtures,
    };

    #[test]
    fn on_what_prometheus_knows() {
        let wanted = fixtures::wanted(fixtures::yaml(
            "autoscaling: {mode: Keda, keda: {prometheusAddress: \"http://prometheus.monitoring:9090\"}, targetCpuPercent: 80}",
        ));
        insta::assert_snapshot!(golden(&build(&wanted).scaled_object.unwrap().object));
    }
}
