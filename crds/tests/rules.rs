//! What a manifest may say: the rules as a user meets them, evaluated locally. The end-to-end tests send the
//! same cases to a real API server.

use serde_json::{Value, json};
use ssefleet_crds::{
    Stream,
    auth::TimeClaim,
    autoscaling::AutoscalingMode,
    broker::Persistence,
    compression::CompressionMode,
    connections::SlowConsumer,
    exposure::Exposure,
    manifest,
    rate_limits::Per,
    units,
    validated::{Broker, Confirm, Invalid, RedisTopology},
};

fn read(metadata: &Value, spec: &Value) -> Result<Stream, String> {
    let object =
        json!({"apiVersion": "ssefleet.dev/v1alpha1", "kind": "SseStream", "metadata": metadata, "spec": spec});
    let object = manifest::read(&object.to_string()).map_err(|refused| refused.to_string())?;
    Stream::try_from(&object).map_err(|invalid: Invalid| invalid.to_string())
}

#[test]
fn every_bad_spec_is_refused_with_its_remedy() {
    let cases: Vec<Value> = serde_saphyr::from_str(include_str!("refused.yaml")).unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let metadata = case.get("metadata").cloned().unwrap_or_else(|| json!({"name": "quotes"}));
        let refused = read(&metadata, &case["spec"]).expect_err(&case.to_string());
        assert!(refused.contains(case["says"].as_str().unwrap()), "{case} was told: {refused}");
    }
}

#[test]
fn an_empty_spec_works_and_has_the_defaults() {
    let stream = read(&json!({"name": "quotes"}), &json!({})).unwrap();
    assert_eq!((stream.path.as_str(), stream.replicas, stream.namespace.as_str()), ("/events", 2, "default"));
    assert_eq!((stream.connections.max_per_pod, stream.connections.heartbeat_interval.as_secs()), (1000, 15));
    assert_eq!(
        (stream.connections.slow_consumer, stream.connections.max_lag.as_secs()),
        (SlowConsumer::Disconnect, 60)
    );
    assert_eq!((stream.connections.stale_after.as_secs(), stream.connections.max_age.as_secs()), (300, 3600));
    assert_eq!((stream.history.max_events, stream.history.max_event_bytes), (10_000, 256 << 10));
    assert_eq!((stream.history.max_bytes, stream.history.max_age.as_secs()), (64 << 20, 3600));
    assert_eq!(stream.broadcast_channel.as_deref(), Some("sse-broadcast"));
    assert_eq!(stream.confirm.replicas, 0);
    let Broker::ManagedRedis(redis) = stream.broker else { panic!("{:?}", stream.broker) };
    assert_eq!((redis.storage, redis.persistence, redis.replicated), (1 << 30, Persistence::AppendOnly, None));
    assert_eq!(stream.exposure, Exposure::default());
    assert_eq!((stream.auth.jwt, stream.cors), (None, None));
    assert_eq!((stream.compression.mode, stream.compression.threshold_bytes), (CompressionMode::Off, 1024));
}

#[test]
fn limits_that_are_switched_on_have_defaults() {
    let stream = read(&json!({"name": "quotes"}), &json!({"rateLimits": {"connect": {}, "concurrent": {}}})).unwrap();
    let connect = stream.rate_limits.connect.unwrap();
    assert_eq!((connect.max, connect.window, connect.per), (10, units::seconds(15 * 60), Per::ClientIp));
    assert_eq!(stream.rate_limits.concurrent.unwrap().max, 20);
}

#[test]
fn what_replicas_must_have_follows_from_the_topology() {
    let confirm = |redis: Value| {
        let stream = read(&json!({"name": "quotes"}), &json!({"broker": {"redis": redis}})).unwrap();
        let Confirm { replicas, timeout } = stream.confirm;
        (replicas, timeout.as_millis())
    };
    let external = json!({"url": "redis://r:6379"});
    assert_eq!(confirm(json!({"managed": {"topology": "Replicated"}})), (1, 1000));
    assert_eq!(confirm(json!({"managed": {"topology": "Replicated"}, "confirm": {"timeout": "250ms"}})), (1, 250));
    assert_eq!(confirm(json!({"managed": {"topology": "Replicated"}, "confirm": {"replicas": 0}})), (0, 1000));
    assert_eq!(
        confirm(json!({"managed": {"topology": "Replicated", "replicas": 5}, "confirm": {"replicas": 3}})),
        (3, 1000)
    );
    assert_eq!(confirm(json!({"external": external})).0, 0);
    assert_eq!(confirm(json!({"external": external, "confirm": {"replicas": 2}})).0, 2);
}

#[test]
fn sentinels_and_clusters_are_told_by_several_hosts() {
    let broker = |external: Value| {
        read(&json!({"name": "quotes"}), &json!({"broker": {"redis": {"external": external}}})).unwrap().broker
    };
    let sentinel = json!({"masterName": "main", "passwordSecretRef": {"name": "s", "key": "p"}});
    let Broker::ExternalRedis(redis) =
        broker(json!({"url": "rediss://a:26379,b/2", "topology": "Sentinel", "sentinel": sentinel}))
    else {
        panic!("not external")
    };
    assert!(matches!(redis.topology, RedisTopology::Sentinel { master_name, .. } if master_name == "main"));
    assert!(matches!(
        broker(json!({"url": "redis://a,b,c:7000", "topology": "Cluster"})),
        Broker::ExternalRedis(redis) if redis.topology == RedisTopology::Cluster
    ));
}

#[test]
fn autoscaling_that_is_switched_on_has_defaults_that_suit_connections_that_last() {
    let stream = read(&json!({"name": "quotes"}), &json!({"autoscaling": {"scaleDown": {"pods": 3}}})).unwrap();
    let scaling = stream.autoscaling.unwrap();
    assert_eq!((scaling.mode, scaling.min_replicas, scaling.max_replicas), (AutoscalingMode::Operator, 2, 10));
    assert_eq!(scaling.target_connections(stream.connections.max_per_pod), 700);
    assert_eq!((scaling.scale_up.stabilization_window, scaling.scale_up.pods), (units::seconds(0), 4));
    assert_eq!((scaling.scale_down.stabilization_window, scaling.scale_down.pods), (units::seconds(300), 3));
    assert!(scaling.shed.enabled);
    assert_eq!([0, 1, 7, 70].map(|asked| scaling.bounded(asked)), [0, 2, 7, 10]);
}

#[test]
fn a_token_is_looked_for_where_clients_put_it() {
    let jwt = json!({"keys": [{"secretRef": {"name": "keys", "key": "a"}}], "algorithms": ["HS256"]});
    let stream = read(&json!({"name": "quotes"}), &json!({"auth": {"jwt": jwt}})).unwrap();
    let jwt = stream.auth.jwt.unwrap();
    assert_eq!((jwt.token_sources.len(), jwt.required_claims, &*jwt.topics_claim), (2, vec![TimeClaim::Exp], "topics"));
}

#[test]
fn what_openapi_says_is_checked_locally_too() {
    let refused = |spec: Value| read(&json!({"name": "quotes"}), &spec).unwrap_err();
    let unknown = refused(json!({"fleet": {"replica": 3}}));
    assert_eq!(unknown, "spec.fleet.replica: unknown field; there are drain, pod, replicas");
    assert_eq!(
        refused(json!({"connections": {"maxPerPod": 0}})),
        "spec.connections.maxPerPod: must be from 1 to 1000000"
    );
    assert!(refused(json!({"path": ""})).contains("spec.path"));
    for bad in ["soon", "", "-1s", "1s-1s", "99999999999999999999999999999999h"] {
        let told = refused(json!({"connections": {"retry": bad}}));
        assert!(told.contains("connections.retry") && told.contains("no duration such as"), "{bad}: {told}");
    }
}

#[test]
fn a_file_without_a_stream_says_what_it_holds() {
    let told = |text: &str| manifest::read(text).unwrap_err().to_string();
    assert!(told("kind: Service\napiVersion: v1\n").contains("only Service of v1"));
    assert!(told("").contains("only nothing"));
    assert!(told("a: [").contains("not YAML"));
    let stream = "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: a}\nspec: {}\n";
    assert!(told(&format!("{stream}---\n{stream}")).contains("2 SseStreams"));
    assert!(manifest::read(&format!("kind: Namespace\napiVersion: v1\n---\n{stream}")).is_ok());
}
