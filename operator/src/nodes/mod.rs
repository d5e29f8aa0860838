//! The operator's talk with the nodes, on their admin ports: what they tell of themselves, and what they are asked to do.
//!
//! [`Client`] asks one node one thing, within limits of time and size; [`Stats`] is what a node tells, and [`Token`] what
//! opens to the operator what is not for everyone. `rounds` asks all of them in turn: [`Nodes`] keeps what they told, by
//! pod (`pods`, `report`), prompts kubelets for what nodes do not have yet (`prompt`), and writes `figures`.

mod broker;
mod client;
mod figures;
mod pods;
mod prompt;
mod report;
mod rounds;
mod stats;
mod token;

pub use self::{
    broker::Failing,
    client::{Client, PORT as ADMIN_PORT},
    pods::Pods,
    report::{Progress, Report, name},
    rounds::{Nodes, run},
    stats::Stats,
    token::Token,
};
#[cfg(test)]
pub use self::{client::Error, stats::Delivery};

/// The annotation of a pod whose change prompts its kubelet; no template has it.
pub const PROMPT: &str = "ssefleet.dev/prompted";
/// What a pod costs when fewer are wanted: the cheapest go first.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost>
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
