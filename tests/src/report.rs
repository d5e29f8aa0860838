//! What a failed test leaves to read: its streams, pods and events, and the last lines that pods logged.

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Event, Pod},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, LogParams},
};
use ssefleet_crds::SseStream;

use crate::{cluster::Object, release};

/// Prints it to the test's output.
pub async fn print(client: &Client, namespace: &str) {
    println!("\n── {namespace}, as the failed test leaves it");
    for stream in all::<SseStream>(client, namespace).await {
        println!("SseStream {}, generation {:?}", stream.name_any(), stream.metadata.generation);
        for condition in stream.status.map(|status| status.conditions).unwrap_or_default() {
            println!("  {}={} {}: {}", condition.type_, condition.status, condition.reason, condition.message);
        }
    }
    for event in all::<Event>(client, namespace).await {
        let object = event.involved_object;
        println!(
            "Event {} {}: {} {}",
            object.kind.unwrap_or_default(),
            object.name.unwrap_or_default(),
            event.reason.unwrap_or_default(),
            event.message.unwrap_or_default()
        );
    }
    for pod in all::<Pod>(client, namespace).await {
        let status = pod.status.clone().unwrap_or_default();
        println!("Pod {} {}", pod.name_any(), status.phase.unwrap_or_default());
        for container in status.container_statuses.unwrap_or_default() {
            println!("  {} restarted {} times, {:?}", container.name, container.restart_count, container.state);
        }
        log(client, namespace, &pod, 20, "").await;
    }
    for pod in all::<Pod>(client, release::NAMESPACE).await {
        println!("Operator {}, about {namespace}", pod.name_any());
        log(client, release::NAMESPACE, &pod, 30, namespace).await;
    }
}

async fn all<K: Object + Resource<Scope = NamespaceResourceScope>>(client: &Client, namespace: &str) -> Vec<K> {
    let listed = Api::<K>::namespaced(client.clone(), namespace).list(&ListParams::default()).await;
    match listed {
        Ok(list) => list.items,
        Err(cause) => {
            println!("{}: {cause}", K::kind(&()));
            Vec::new()
        }
    }
}

/// The last lines that mention `about`, cut where they become long.
async fn log(client: &Client, namespace: &str, pod: &Pod, count: usize, about: &str) {
    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let container = Some(container.name.clone());
        let tail = LogParams { container, tail_lines: Some(1000), ..LogParams::default() };
        match Api::<Pod>::namespaced(client.clone(), namespace).logs(&pod.name_any(), &tail).await {
            Ok(text) => {
                let lines: Vec<&str> = text.lines().filter(|line| line.contains(about)).collect();
                for line in &lines[lines.len().saturating_sub(count)..] {
                    println!("  | {}", line.chars().take(600).collect::<String>());
                }
            }
            Err(cause) => println!("  no log: {cause}"),
        }
    }
}
