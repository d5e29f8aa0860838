//! The chart, without a cluster: what it renders, what it refuses, and which rights it asks for.

use insta::assert_snapshot;
use serde_json::Value;
use ssefleet_tests::{
    Must,
    helm::{chart, helm, repository},
};

/// `helm template` with these settings.
fn template(settings: &[&str]) -> Result<String, String> {
    let chart = chart().display().to_string();
    let mut arguments =
        vec!["template", "ssefleet", &chart, "--namespace", "ssefleet-system", "--kube-version", "1.33.0"];
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    helm(arguments)
}

fn objects(settings: &[&str]) -> Vec<Value> {
    let rendered = template(settings).must("render the chart");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).must("parse what was rendered");
    objects.into_iter().filter(|object| !object.is_null()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn helm_lint_finds_nothing() {
    helm(["lint", "--strict", &chart().display().to_string()]).unwrap();
}

#[test]
fn the_default_values_render_what_is_expected() {
    assert_snapshot!(template(&["crds.install=false"]).unwrap());
}

#[test]
fn custom_metrics_are_served_only_on_request() {
    let without = objects(&["crds.install=false"]);
    assert!(of_kind(&without, "APIService").is_empty());
    let with = objects(&["crds.install=false", "customMetrics.enabled=true"]);
    let deployment = of_kind(&with, "Deployment")[0];
    let variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
    assert!(variables.contains("SSEFLEET_CUSTOM_METRICS_SERVICE"), "{variables}");
    let more = with.iter().filter(|object| !without.contains(object) && object["kind"] != "Deployment");
    let more: Vec<String> = more.map(|object| serde_saphyr::to_string(object).unwrap()).collect();
    assert_snapshot!(more.join("---\n"));
}

#[test]
fn with_watched_namespaces_the_rights_end_there() {
    let objects = objects(&["watchNamespaces={streams,others}", "crds.install=false"]);
    assert_eq!(of_kind(&objects, "ClusterRole").len() + of_kind(&objects, "ClusterRoleBinding").len(), 0);
    for kind in ["Role", "RoleBinding"] {
        let mut namespaces: Vec<_> =
            of_kind(&objects, kind).iter().map(|role| role["metadata"]["namespace"].as_str().unwrap()).collect();
        namespaces.sort_unstable();
        assert_eq!(namespaces, ["others", "ssefleet-system", "streams"], "{kind}");
    }
    let everywhere = rules_over_streams(&self::objects(&["crds.install=false"]), "ClusterRole");
    assert_eq!(rules_over_streams(&objects, "Role"), everywhere, "the rights are others");
    assert_eq!(environment(&objects, "SSEFLEET_WATCH_NAMESPACES"), "streams,others");
}

/// The rules over streams.
fn rules_over_streams(objects: &[Value], kind: &str) -> Value {
    let roles = of_kind(objects, kind);
    let role = roles.iter().find(|role| role["metadata"]["name"] == "ssefleet").must("find the role");
    role["rules"].clone()
}

/// What the operator is told by a variable.
fn environment(objects: &[Value], name: &str) -> String {
    let deployment = of_kind(objects, "Deployment")[0];
    let variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().must("read env");
    let variable = variables.iter().find(|variable| variable["name"] == name).must(format_args!("find {name}"));
    variable["value"].as_str().must("read a value").to_owned()
}

/// Every switch on.
const ALL: [&str; 17] = [
    "crds.install=false",
    "watchNamespaces={streams,others}",
    "image.operator.digest=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "streamImagePullSecrets[0].name=registry",
    "priorityClassName=system-cluster-critical",
    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey=kubernetes.io/hostname",
    "commonLabels.team=events",
    "commonAnnotations.owner=events@example.com",
    "podLabels.sidecar=none",
    "serviceAccount.annotations.role=reader",
    "customMetrics.enabled=true",
    "metrics.scrapeNamespaces={monitoring}",
    "metrics.serviceMonitor.enabled=true",
    "metrics.podMonitor.enabled=true",
    "metrics.podMonitor.interval=15s",
    "metrics.prometheusRule.enabled=true",
    "metrics.dashboard.enabled=true",
];

#[test]
fn everything_switched_on_renders_what_is_expected() {
    assert_snapshot!(template(&ALL).unwrap());
}

#[test]
fn what_needs_a_resource_of_others_is_off_by_default() {
    let known = ["", "apps/v1", "policy/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1", "v1"];
    for object in objects(&["crds.install=false"]) {
        assert!(known.contains(&object["apiVersion"].as_str().unwrap()), "{object}");
    }
}

#[test]
fn labels_and_annotations_for_all_reach_all() {
    for object in objects(&ALL) {
        let (kind, metadata) = (&object["kind"], &object["metadata"]);
        assert_eq!(metadata["labels"]["team"], "events", "{kind}");
        assert_eq!(metadata["annotations"]["owner"], "events@example.com", "{kind}");
    }
}

/// Alerts and dashboard ask for what docs/metrics.md lists, which other tests hold against what there is.
#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let docs = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let listed: Vec<&str> = docs.split('`').filter_map(|word| word.split('{').next()).collect();
    let rendered = template(&ALL).unwrap();
    let asked: Vec<&str> = rendered
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("ssefleet_"))
        .collect();
    assert!(asked.len() > 20);
    for metric in asked {
        let name = ["_bucket", "_count", "_sum"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric);
        assert!(listed.contains(&name), "there is no metric {metric}");
    }
    let dashboard = std::fs::read_to_string(chart().join("files/dashboard.json")).unwrap();
    serde_json::from_str::<Value>(&dashboard).must("parse the dashboard");
}

#[test]
fn the_table_of_values_is_fresh() {
    let made = std::process::Command::new(repository().join("tests/values-table")).output().must("make the table");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let kept = std::fs::read_to_string(chart().join("README.md")).unwrap();
    assert!(String::from_utf8_lossy(&made.stdout) == kept, "charts/ssefleet/README.md is stale: run `make generate`");
}

#[test]
fn the_crd_is_the_generated_one_and_is_kept_on_uninstall() {
    let generated = std::fs::read_to_string(repository().join("crds/generated/ssestreams.yaml")).unwrap();
    let packed = std::fs::read_to_string(chart().join("files/ssestreams.yaml")).unwrap();
    assert!(packed == generated, "charts/ssefleet/files/ssestreams.yaml is stale: run `make generate`");

    let rendered = objects(&[]);
    let [crd] = of_kind(&rendered, "CustomResourceDefinition")[..] else { panic!("one CRD should be rendered") };
    assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    assert_eq!(*crd, serde_saphyr::from_str::<Value>(&generated).unwrap(), "Helm changed the CRD");
}

#[test]
fn the_crd_can_be_left_to_others() {
    assert!(of_kind(&objects(&["crds.install=false"]), "CustomResourceDefinition").is_empty());
}

#[test]
fn wrong_values_are_refused_with_a_sentence_that_names_them() {
    for (setting, says) in [
        ("replicas=3", "additional properties 'replicas' not allowed"),
        ("replicaCount=0", "minimum: got 0, want 1"),
        ("replicaCount=two", "got string, want integer"),
        ("image.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("image.operator.digest=x", "does not match pattern"),
        ("watchNamespaces={a,a}", "items at 0 and 1 are equal"),
        ("metrics.podMonitor.interval=often", "does not match pattern"),
        ("metrics.serviceMonitor.enabled=maybe", "got string, want boolean"),
        ("networkPolicy.pods=true", "additional properties 'pods' not allowed"),
        ("topologySpreadConstraints[0].maxSkew=1", "missing properties 'topologyKey', 'whenUnsatisfiable'"),
        ("streamImagePullSecrets[0].named=x", "additional properties 'named' not allowed"),
        ("image.redis=", "minLength: got 0, want 1"),
        ("watchNamespace=streams", "additional properties 'watchNamespace' not allowed"),
        ("watchNamespaces={My_Streams}", "does not match pattern"),
        ("crds.keep=true", "additional properties 'keep' not allowed"),
        ("podAnnotations.a=1", "got number, want string"),
    ] {
        let refused = template(&[setting]).expect_err(setting);
        assert!(refused.contains(says), "--set {setting} was told: {refused}");
    }
}

#[test]
fn no_right_is_a_wildcard_and_secrets_cannot_be_listed() {
    for settings in [&[][..], &["watchNamespaces={streams}"]] {
        let objects = objects(settings);
        let roles = [of_kind(&objects, "ClusterRole"), of_kind(&objects, "Role")].concat();
        let rights: Vec<&Value> = roles.iter().flat_map(|role| role["rules"].as_array().unwrap()).collect();
        assert!(rights.len() > 5);
        for rule in rights {
            assert!(!rule.to_string().contains('*'), "{rule}");
            let has = |field: &str, value: &str| rule[field].as_array().unwrap().iter().any(|entry| entry == value);
            assert!(!(has("resources", "secrets") && (has("verbs", "list") || has("verbs", "watch"))), "{rule}");
        }
    }
}

#[test]
fn the_operator_passes_the_restricted_pod_security_level() {
    let objects = objects(&[]);
    let [deployment] = of_kind(&objects, "Deployment")[..] else { panic!("one Deployment should be rendered") };
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    for container in pod["containers"].as_array().unwrap() {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"]["drop"], serde_json::json!(["ALL"]));
    }
}

#[test]
fn the_notes_say_the_next_command() {
    let chart = chart().display().to_string();
    let shown = helm(["install", "ssefleet", &chart, "--namespace", "ssefleet-system", "--dry-run=client"]).unwrap();
    let (_, notes) = shown.split_once("NOTES:").unwrap();
    assert!(notes.contains("kubectl -n ssefleet-system rollout status deployment/ssefleet"), "{notes}");
    assert!(notes.contains("kubectl get sse quotes --watch"), "{notes}");
}
