//! Autoscaling: as many nodes as the load takes, and connections that move to nodes that were added.
//!
//! The leader looks every few seconds at each fleet ([`fleet`]: the pods, and what the nodes tell), makes a [`reading`] of
//! it and finds what is [`todo`]. In mode Operator it [`decide`]s how many nodes there are to be; that is kept in the
//! stream's status before the reconcile acts on it, and `spec.fleet.replicas` is never written. In the other modes an
//! autoscaler of the cluster writes that, and the reconcile follows. In all modes [`shed`] says who lets go of how many
//! connections when nodes were added; who goes when there are to be fewer is chosen by the reconcile
//! (`controller/scale_in.rs`).

mod decide;
pub(crate) mod fleet;
mod history;
mod reading;
mod scaler;
pub(crate) mod scalers;
mod shed;
#[cfg(test)]
mod tests;
mod todo;
mod verdict;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use hyper::{Method, body::Bytes};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{Api, runtime::reflector::ObjectRef};
use serde_json::json;
use ssefleet_crds::{SseStream, Stream, autoscaling::Autoscaling, names};
use tokio::time::{MissedTickBehavior, interval};

use self::{decide::Why, fleet::reports, scalers::key, shed::Excess, todo::todo};
use crate::{
    controller::{context::Context, events, paused::is_paused, scale_in},
    nodes::Token,
    watch::Child,
};

/// How often fleets are looked at. Their nodes are asked every ten seconds.
const LOOK: Duration = Duration::from_secs(5);

/// Looks at all fleets, for ever. Only the leader does.
pub(crate) async fn run(cx: &Context) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut streams = cx.streams.state();
        streams.retain(|stream| stream.spec.autoscaling.is_some());
        cx.scalers.retain(&streams);
        for stream in streams {
            look(&stream, cx).await;
        }
    }
}

/// Looks at one fleet, and does what there is to do.
async fn look(stream: &SseStream, cx: &Context) {
    if stream.metadata.deletion_timestamp.is_some() || is_paused(stream) {
        return;
    }
    // One that is not valid stays as it is; the reconcile tells why.
    let (Some(scaling), Ok(checked)) = (&stream.spec.autoscaling, Stream::try_from(stream)) else { return };
    let deployment = ObjectRef::<Deployment>::new(&names::node(&checked.name)).within(&checked.namespace);
    let Some(deployment) = Deployment::store(&cx.stores).get(&deployment) else { return };
    let (reports, now) = (reports(stream, cx), Instant::now());
    let todo =
        cx.scalers.with(stream, scaling, now, |scaler| todo(scaler, scaling, &checked, &reports, &deployment, now));
    if let Some((from, decision)) = todo.scaled {
        cx.metrics.scaled(from, decision.desired);
        events::scaled(stream, from, decision.desired, &because(decision.why, scaling), cx).await;
    }
    if todo.tell {
        cx.trigger.reconcile(ObjectRef::from_obj(stream));
    }
    if todo.unmark {
        scale_in::unmark(stream, &reports, cx).await;
    }
    for excess in todo.shed {
        ask_to_shed(stream, excess, cx).await;
    }
}

async fn ask_to_shed(stream: &SseStream, Excess { node, connections }: Excess<IpAddr>, cx: &Context) {
    let (namespace, name) = key(stream);
    let asked = async {
        let token = token(stream, cx).await?;
        // At the declared rate, which all nodes keep together.
        let body = json!({"connections": connections}).to_string();
        let answer = cx.nodes.client.ask(node, Method::POST, "/shed", Some(&token), Bytes::from(body)).await;
        answer.map_err(|error| error.to_string())
    };
    match asked.await {
        Ok(_) => {
            tracing::info!(namespace, stream = name, %node, connections, "a node sheds");
            cx.metrics.shed_connections.inc_by(connections);
        }
        Err(error) => tracing::warn!(namespace, stream = name, %node, error, "a node can't be asked to shed"),
    }
}

/// What opens the nodes' admin ports.
async fn token(stream: &SseStream, cx: &Context) -> Result<Token, String> {
    let (namespace, name) = key(stream);
    let (api, name) = (Api::<Secret>::namespaced(cx.client.clone(), &namespace), names::admin(&name));
    let secret = api.get(&name).await.map_err(|error| format!("can't read the Secret {name}: {error}"))?;
    let token = secret.data.as_ref().and_then(|data| data.get(names::TOKEN));
    token
        .and_then(|token| Token::first_of(&token.0))
        .ok_or_else(|| format!("the Secret {name} has no {}", names::TOKEN))
}

/// For an event.
fn because(why: Why, scaling: &Autoscaling) -> String {
    match why {
        Why::Load(load) | Why::Pacing(load) => load.to_string(),
        _ => format!("spec.autoscaling allows from {} to {}", scaling.min_replicas, scaling.max_replicas),
    }
}
