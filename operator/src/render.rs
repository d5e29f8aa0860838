//! What the operator would make, as text and without a cluster: the CRD, and the children of one stream.

use ssefleet_crds::{SseStream, crd as definition, manifest};

use crate::{
    controller::{self, Credential, Observed, children::build},
    optional::Kind,
    settings::Settings,
};

/// Stands where the operator will put a random password or token.
const PLACEHOLDER: &str = "made-at-the-first-apply-and-then-kept";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Refused(#[from] manifest::Refused),
    #[error(transparent)]
    Invalid(#[from] controller::ValidateError),
    #[error("can't be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("can't be written as YAML: {0}")]
    Yaml(String),
}

/// The `CustomResourceDefinition`, as `crds/generated` holds it.
pub fn crd() -> Result<String, Error> {
    yaml(&definition())
}

/// The children of the stream in `manifest`, as a stream of YAML documents, in a cluster that has all optional kinds
/// but these.
pub fn children(manifest: &str, settings: &Settings, without: &[Kind]) -> Result<String, Error> {
    let stream: SseStream = manifest::read(manifest)?;
    let placeholder = Some(Credential::New(PLACEHOLDER.into()));
    let observed = Observed {
        password: placeholder.clone(),
        publish_token: placeholder.clone(),
        admin_token: placeholder,
        kinds: Kind::ALL.into_iter().filter(|kind| !without.contains(kind)).collect(),
        ..Observed::default()
    };
    let wanted = controller::validate(&stream, &observed, settings)?;
    let documents = build(&wanted).documents()?;
    let documents: Result<Vec<_>, _> = documents.iter().map(yaml).collect();
    Ok(documents?.join("---\n"))
}

fn yaml(document: &impl serde::Serialize) -> Result<String, Error> {
    serde_saphyr::to_string(document).map_err(|error| Error::Yaml(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures;

    #[test]
    fn the_crd_in_the_repository_is_what_crd_prints() {
        let kept = include_str!("../../crds/generated/ssestreams.yaml");
        assert!(crd().unwrap() == kept, "run: cargo run -p sse-operator -- crd > crds/generated/ssestreams.yaml");
    }

    #[test]
    fn every_child_of_a_managed_stream_is_rendered() {
        let manifest = "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: quotes}\nspec: {}\n";
        let text = children(manifest, &fixtures::settings(), &[]).unwrap();
        let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
        let names: Vec<_> = documents.iter().map(|d| format!("{}/{}", d["kind"], d["metadata"]["name"])).collect();
        insta::assert_snapshot!(names.join("\n").replace('"', ""));
    }

    #[test]
    fn every_child_of_every_exposure_is_rendered_for_the_kinds_that_there_are() {
        let manifest = "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: quotes}\nspec: {broker: {memory: {}}, fleet: {replicas: 1}, exposure: {ingress: {controller: Traefik}, gateway: {parentRefs: [{name: web}], implementation: EnvoyGateway}, service: {}}}\n";
        let names = |manifest: &str, without: &[Kind]| {
            let text = children(manifest, &fixtures::settings(), without).unwrap();
            let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(&text).unwrap();
            let names: Vec<_> = documents.iter().map(|d| format!("{}/{}", d["kind"], d["metadata"]["name"])).collect();
            names.join("\n").replace('"', "")
        };
        let edge = manifest.replace("service: {}", "edge: {}");
        insta::assert_snapshot!(format!(
            "all kinds:\n{}\nno Middleware, no BackendTrafficPolicy:\n{}\nwith an edge:\n{}",
            names(manifest, &[]),
            names(manifest, &[Kind::Middleware, Kind::BackendTrafficPolicy]),
            names(&edge, &[])
        ));
    }

    #[test]
    fn words_that_yaml_1_1_takes_for_booleans_are_quoted() {
        let manifest = "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: quotes}\nspec: {exposure: {ingress: {controller: IngressNginx}}}\n";
        let text = children(manifest, &fixtures::settings(), &[]).unwrap();
        assert!(text.contains("proxy-buffering: \"off\"") || text.contains("proxy-buffering: 'off'"), "{text}");
    }

    #[test]
    fn a_bad_manifest_is_refused_with_its_remedy() {
        let manifest =
            "apiVersion: ssefleet.dev/v1alpha1\nkind: SseStream\nmetadata: {name: quotes}\nspec: {path: events}\n";
        let refused = children(manifest, &fixtures::settings(), &[]).unwrap_err();
        assert!(refused.to_string().contains("path must begin with '/'"), "{refused}");
    }
}
