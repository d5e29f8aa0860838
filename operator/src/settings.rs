//! What the operator is told once, at its start: which images it runs and which namespaces it looks at.
//! Everything about one stream stands in that stream.

use clap::Args;

/// Settings that hold for every stream.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// The image of `sse-node`, for streams that name none.
    #[arg(long, env = "SSEFLEET_NODE_IMAGE", default_value = concat!("sse-node:", env!("CARGO_PKG_VERSION")))]
    pub node_image: String,

    /// The image of the managed Redis: Redis 7, Valkey 8 or newer, with redis-server and redis-cli in it.
    #[arg(long, env = "SSEFLEET_REDIS_IMAGE", default_value = "docker.io/valkey/valkey:8")]
    pub redis_image: String,

    /// The image of the nginx in front of streams with `exposure.edge`: nginx 1.20 or newer that runs as any user, with
    /// a shell.
    #[arg(long, env = "SSEFLEET_NGINX_IMAGE", default_value = "docker.io/nginxinc/nginx-unprivileged:1.30")]
    pub nginx_image: String,

    /// The pull policy of all images. Default: what Kubernetes derives from the tag.
    #[arg(long, env = "SSEFLEET_IMAGE_PULL_POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub image_pull_policy: Option<String>,

    /// Look after the streams of these namespaces only, separated by commas. Default: of all.
    #[arg(long, env = "SSEFLEET_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,

    /// Secrets of the streams' own namespaces with which their pods pull images, separated by commas.
    #[arg(long, env = "SSEFLEET_IMAGE_PULL_SECRETS", value_delimiter = ',')]
    pub image_pull_secrets: Vec<String>,

    /// Whether each stream gets a NetworkPolicy for its nodes, and one for its managed Redis.
    #[arg(long, env = "SSEFLEET_NETWORK_POLICIES", default_value_t = true, action = clap::ArgAction::Set)]
    pub network_policies: bool,

    /// Namespaces whose pods may scrape the nodes' metrics, separated by commas.
    #[arg(long, env = "SSEFLEET_SCRAPE_NAMESPACES", value_delimiter = ',')]
    pub scrape_namespaces: Vec<String>,

    /// The namespace of the operator, where its Lease is. Default: that of the kubeconfig.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: Option<String>,
}
