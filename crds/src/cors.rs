//! `spec.cors`: which web pages may read the stream.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Duration, seconds};

/// Which web pages of other origins may read the stream: the CORS protocol of the Fetch standard,
/// <https://fetch.spec.whatwg.org/#http-cors-protocol>.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.allowCredentials || !self.allowedOrigins.exists(o, o == '*')").message("cors.allowedOrigins may not be '*' with allowCredentials: any page could read with its visitor's cookies; list the origins"))]
pub struct Cors {
    /// The origins, each as a browser sends it: `https://app.example.com`, `https://*.example.com` for all below it
    /// (not itself), or `*` for any.
    #[schemars(length(min = 1, max = 200), inner(length(max = 300)))]
    #[x_kube(validation = Rule::new("self.all(o, o == '*' || o.matches('^https?://([*][.])?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$'))").message("each of cors.allowedOrigins must be like https://app.example.com or https://*.example.com, in lower case and without a path, or '*'"))]
    pub allowed_origins: Vec<String>,

    /// Lets pages send cookies and read what is answered (`withCredentials`). Default false.
    #[serde(default)]
    pub allow_credentials: bool,

    /// How long a browser may keep the answer to a preflight. A Go duration. Default 10m.
    #[serde(default = "default_max_age")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('24h')").message("cors.maxAge must be from 0s to 24h"))]
    pub max_age: Duration,
}

fn default_max_age() -> Duration {
    seconds(600)
}
