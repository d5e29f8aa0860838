//! The operator can't reach the nodes' admin ports any more, in the middle of a scale-in: then nothing scales. The
//! packets are dropped where a NetworkPolicy would drop them, on their way from one pod to another, so that the kubelet
//! still reaches its probes.

use std::{process::Command, time::Duration};

use serde_json::json;
use ssefleet_tests::{
    Must, cluster,
    figures::record,
    helm::repository,
    stream::{STARTUP, condition, is},
};
use tokio::time::sleep;

use super::{kubectl_scale, now_wanted, scaled, wanted};

#[tokio::test]
async fn numbers_that_are_cut_off_during_a_scale_in_stop_it() {
    let provider = std::env::var("SSEFLEET_PROVIDER").unwrap_or_default();
    assert_eq!(provider, "local", "this test drops packets on the nodes, which only the local provider lets it enter");
    let mut cluster = cluster().await;
    let here = cluster.namespace("cut").await;
    let stream = here.apply(scaled(&json!({}))).await;
    stream.ready().await;
    cluster.alone().await; // the operator will hear of no stream
    kubectl_scale(&stream, 4).await;
    stream.nodes(4).await;
    wanted(&stream, 3).await; // the scale-in is under way
    let cut = Cut::begin();
    let cut_off = |stream: &ssefleet_crds::SseStream| {
        condition(stream, "Autoscaling").is_some_and(|told| told.status == "False" && told.reason == "NumbersMissing")
    };
    stream.until("the numbers are missing", STARTUP, cut_off).await;
    let before = now_wanted(&stream).await;
    // Long enough for two more steps: the window has passed, and a period is 15 s.
    sleep(Duration::from_secs(40)).await;
    assert_eq!(now_wanted(&stream).await, before, "a node was taken away unseen");
    record("autoscaling: numbers cut off for 40 s in a scale-in from 4 to 1", &format!("it stood still at {before}"));
    drop(cut);
    cluster.share();
    stream.until("the numbers are back", STARTUP, |stream| is(stream, "Autoscaling", "True")).await;
    wanted(&stream, 1).await;
}

/// Drops what is forwarded to port 9090, on both nodes, for as long as it lives.
struct Cut;

impl Cut {
    fn begin() -> Self {
        let cut = Self;
        for node in ["1", "2"] {
            let rules = "add table inet e2e-cut; add chain inet e2e-cut forward { type filter hook forward priority -200; }; add rule inet e2e-cut forward tcp dport 9090 drop";
            on_node(node, rules).must("drop packets");
        }
        cut
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        for node in ["1", "2"] {
            on_node(node, "delete table inet e2e-cut").ok();
        }
    }
}

fn on_node(node: &str, rules: &str) -> Result<(), String> {
    let mut cluster = Command::new(repository().join("tests/cluster/cluster"));
    let output = cluster.args(["node", node, "nft", rules]).output().map_err(|cause| cause.to_string())?;
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
