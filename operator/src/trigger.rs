//! Says that a stream is worth another look for a reason that no watch brings: a Secret has changed, or what its nodes
//! tell of themselves. Looks that are asked for several times before one happens are one look.

use futures_util::{Stream, stream::poll_fn};
use kube::runtime::reflector::ObjectRef;
use ssefleet_crds::SseStream;
use tokio::sync::mpsc;

/// Asks for looks at streams; a clone asks the same controller.
#[derive(Clone)]
pub(crate) struct Trigger(mpsc::UnboundedSender<ObjectRef<SseStream>>);

impl Trigger {
    /// And what the controller is to listen to.
    pub fn new() -> (Self, impl Stream<Item = ObjectRef<SseStream>> + Send + 'static) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        (Self(sender), poll_fn(move |cx| receiver.poll_recv(cx)))
    }

    pub fn reconcile(&self, stream: ObjectRef<SseStream>) {
        // Nobody listens any more when the operator is about to end.
        let _ = self.0.send(stream);
    }
}
