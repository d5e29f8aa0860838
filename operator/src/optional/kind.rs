//! The optional kinds: what each is called, and where its CRD comes from.

use clap::ValueEnum;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};

/// A kind of child whose CRD the cluster may have or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum Kind {
    /// Of the Gateway API.
    #[value(name = "HTTPRoute")]
    HttpRoute,
    /// Of Envoy Gateway.
    BackendTrafficPolicy,
    /// Of NGINX Gateway Fabric.
    ProxySettingsPolicy,
    /// Of Traefik.
    Middleware,
    /// Of KEDA.
    ScaledObject,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::HttpRoute, Self::BackendTrafficPolicy, Self::ProxySettingsPolicy, Self::Middleware, Self::ScaledObject];

    /// As manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HttpRoute => "HTTPRoute",
            Self::BackendTrafficPolicy => "BackendTrafficPolicy",
            Self::ProxySettingsPolicy => "ProxySettingsPolicy",
            Self::Middleware => "Middleware",
            Self::ScaledObject => "ScaledObject",
        }
    }

    pub fn group(self) -> &'static str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Self::HttpRoute => "gateway.networking.k8s.io/v1",
            Self::BackendTrafficPolicy => "gateway.envoyproxy.io/v1alpha1",
            Self::ProxySettingsPolicy => "gateway.nginx.org/v1alpha1",
            Self::Middleware => "traefik.io/v1alpha1",
            Self::ScaledObject => "keda.sh/v1alpha1",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::HttpRoute => "httproutes",
            Self::BackendTrafficPolicy => "backendtrafficpolicies",
            Self::ProxySettingsPolicy => "proxysettingspolicies",
            Self::Middleware => "middlewares",
            Self::ScaledObject => "scaledobjects",
        }
    }

    pub fn resource(self) -> ApiResource {
        let (group, version) = self.api_version().split_once('/').unwrap_or_default();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, self.name()), self.plural())
    }

    /// The objects of this kind in a namespace.
    pub fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }

    /// What is missing, and how it comes into a cluster.
    pub fn missing(self) -> String {
        let (crd, remedy) = (format!("{}.{}", self.plural(), self.group()), self.remedy());
        format!("this cluster has no {} (CRD {crd}). {remedy}", self.name())
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::HttpRoute => {
                "Install the Gateway API and an implementation of it: https://gateway-api.sigs.k8s.io/guides/getting-started/"
            }
            Self::BackendTrafficPolicy => {
                "Install Envoy Gateway with its CRDs (https://gateway.envoyproxy.io/docs/install/), or set implementation to what runs the Gateway"
            }
            Self::ProxySettingsPolicy => {
                "Install NGINX Gateway Fabric 2.3 or newer with its CRDs (https://docs.nginx.com/nginx-gateway-fabric/install/), or set implementation to what runs the Gateway"
            }
            Self::Middleware => {
                "Install Traefik's CRDs (https://doc.traefik.io/traefik/reference/install-configuration/providers/kubernetes/kubernetes-crd/)"
            }
            Self::ScaledObject => {
                "Install KEDA with its CRDs (https://keda.sh/docs/latest/deploy/), or set autoscaling.mode to Operator or Hpa"
            }
        }
    }
}
