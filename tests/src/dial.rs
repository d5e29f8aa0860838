//! Connections to what runs in the cluster: through the ingress, to a Service, to a pod.
//!
//! Where Services cannot be reached at their addresses, the bytes go through the API server, to one of the ready
//! pods behind the Service, as `kubectl port-forward` does it.

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::{
    api::core::v1::{Pod, Service, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, ResourceExt, api::ListParams};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{cluster::Access, settings::Services};

/// An HTTP/1.1 connection.
pub type Connection = SendRequest<Full<Bytes>>;

/// Why there is no connection; whoever dials may try again.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Where a connection goes.
#[derive(Clone, Debug)]
pub enum Target {
    Ingress,
    /// `IP:PORT`, of what listens there for many streams.
    Address(String),
    Service {
        namespace: String,
        name: String,
    },
    Pod {
        namespace: String,
        name: String,
        port: u16,
    },
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects, and speaks HTTP/1.1 over it.
pub async fn dial(access: &Access, target: &Target) -> Result<Connection, Error> {
    let socket: Box<dyn Duplex> = match target {
        Target::Ingress => Box::new(tcp(&access.settings.ingress.address).await?),
        Target::Address(address) => Box::new(tcp(address).await?),
        Target::Service { namespace, name } => service(access, namespace, name).await?,
        Target::Pod { namespace, name, port } => pod(access, namespace, name, *port).await?,
    };
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(async {
        connection.await.ok(); // its requests tell what went wrong
    });
    Ok(sender)
}

/// The `IP:PORT` for a program that connects by itself.
pub async fn address(access: &Access, target: &Target) -> Result<String, Error> {
    match target {
        Target::Ingress => Ok(access.settings.ingress.address.clone()),
        Target::Address(address) => Ok(address.clone()),
        Target::Service { namespace, name } if access.settings.services == Services::Direct => {
            let service: Service = access.api(namespace).get(name).await?;
            Ok(service_address(&service.spec.unwrap_or_default()).ok_or("the Service has no address")?)
        }
        Target::Service { .. } | Target::Pod { .. } => Err("it is reached through the API server only".into()),
    }
}

/// Its first port, at its own address.
fn service_address(spec: &ServiceSpec) -> Option<String> {
    Some(format!("{}:{}", spec.cluster_ip.as_ref()?, spec.ports.as_ref()?.first()?.port))
}

async fn tcp(address: &str) -> Result<TcpStream, Error> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// The first port of a Service.
async fn service(access: &Access, namespace: &str, name: &str) -> Result<Box<dyn Duplex>, Error> {
    let services: Api<Service> = access.api(namespace);
    let spec = services.get(name).await?.spec.unwrap_or_default();
    if access.settings.services == Services::Direct {
        let address = service_address(&spec).ok_or("the Service has no address")?;
        return Ok(Box::new(tcp(&address).await?));
    }
    let port = spec.ports.into_iter().flatten().next().ok_or("the Service has no port")?;
    let selector: Vec<String> = spec.selector.iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
    let pods: Api<Pod> = access.api(namespace);
    let found = pods.list(&ListParams::default().labels(&selector.join(","))).await?;
    let mut ready: Vec<&Pod> = found.iter().filter(|pod| is_ready(pod)).collect();
    fastrand::shuffle(&mut ready);
    let chosen = ready.first().ok_or("no pod of the Service is ready")?;
    let target = match port.target_port {
        Some(IntOrString::Int(number)) => u16::try_from(number)?,
        Some(IntOrString::String(label)) => named_port(chosen, &label).ok_or("the pod has no such port")?,
        None => u16::try_from(port.port)?,
    };
    pod(access, namespace, &chosen.name_any(), target).await
}

async fn pod(access: &Access, namespace: &str, name: &str, port: u16) -> Result<Box<dyn Duplex>, Error> {
    let pods: Api<Pod> = access.api(namespace);
    if access.settings.services == Services::Direct {
        let status = pods.get(name).await?.status.unwrap_or_default();
        let address = status.pod_ip.ok_or("the pod has no address yet")?;
        return Ok(Box::new(tcp(&format!("{address}:{port}")).await?));
    }
    let mut forwarder = pods.portforward(name, &[port]).await?;
    Ok(Box::new(forwarder.take_stream(port).ok_or("the port is not forwarded")?))
}

/// Whether the pod takes connections, and is not about to end.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn named_port(pod: &Pod, name: &str) -> Option<u16> {
    let containers = &pod.spec.as_ref()?.containers;
    let port = containers.iter().flat_map(|c| c.ports.iter().flatten()).find(|p| p.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}
