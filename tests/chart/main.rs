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
fn with_a_watched_namespace_the_rights_end_there() {
    let objects = objects(&["watchNamespace=streams", "crds.install=false"]);
    assert_eq!(of_kind(&objects, "ClusterRole").len() + of_kind(&objects, "ClusterRoleBinding").len(), 0);
    let in_namespace = |name: &str| of_kind(&objects, "Role").iter().any(|role| role["metadata"]["namespace"] == name);
    assert!(in_namespace("streams") && in_namespace("ssefleet-system"));
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
        ("image.operator.digest=x", "additional properties 'digest' not allowed"),
        ("image.redis=", "minLength: got 0, want 1"),
        ("watchNamespace=My_Streams", "does not match pattern"),
        ("crds.keep=true", "additional properties 'keep' not allowed"),
        ("podAnnotations.a=1", "got number, want string"),
    ] {
        let refused = template(&[setting]).expect_err(setting);
        assert!(refused.contains(says), "--set {setting} was told: {refused}");
    }
}

#[test]
fn no_right_is_a_wildcard_and_secrets_cannot_be_listed() {
    for settings in [&[][..], &["watchNamespace=streams"]] {
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
