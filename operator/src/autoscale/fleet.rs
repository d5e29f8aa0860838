//! The nodes of one stream: their pods as they are at this moment, and what each told when it was asked last.

use kube::runtime::reflector::ObjectRef;
use ssefleet_crds::SseStream;

use crate::{controller::context::Context, nodes::Report};

pub fn reports(stream: &SseStream, cx: &Context) -> Vec<Report> {
    let told = cx.nodes.of(stream);
    let pods = cx.pods.of(&ObjectRef::from_obj(stream)).into_iter();
    pods.map(|pod| {
        let earlier = told.iter().find(|earlier| earlier.uid == pod.uid);
        pod.after(earlier)
    })
    .collect()
}
