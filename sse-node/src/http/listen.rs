//! Accepts connections, and finds who serves them: the handler itself on the bare socket, or hyper.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{
    activity::{Activity, Over},
    converse::converse,
    first::{self, Get, Speaks},
    rewind::Rewind,
    room::{Handler, Handover, Room},
    tls::Tls,
};

/// Accepts until it is to finish.
pub async fn listen<H: Handler>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    room: Arc<Room<H>>,
    connections: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = room.finish.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let room = room.clone();
                // An event is one small write; it must not wait for the answer to the one before.
                let _ = socket.set_nodelay(true);
                match tls.clone() {
                    None => connections.spawn(serve(socket, peer, room)),
                    Some(tls) => connections.spawn(serve_tls(socket, peer, tls, room)),
                };
            }
            // Out of file descriptors, mostly: those that are connected stay so, and some will go.
            Err(error) if !is_the_clients(&error) => {
                warn!(%error, "can't accept connections for now");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(_) => {}
        }
    }
}

/// Errors of `accept` that concern only the connection that was to be accepted, accept(2).
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve<H: Handler>(mut socket: TcpStream, peer: SocketAddr, room: Arc<Room<H>>) {
    let mut bytes = Vec::new();
    let look = Arc::new(Notify::new());
    let seat = room.waiting.sit(&look);
    // In this order: a head that is here is read before anybody is sent away.
    let speaks = tokio::select! {
        biased;
        read = timeout(room.bounds.head, first::read(&mut socket, &mut bytes)) => match read {
            Ok(Ok(Some(speaks))) => speaks,
            Ok(_) => return,
            Err(_) => return room.over(Over::HeadLate),
        },
        () = room.finish.cancelled() => return,
        () = look.notified() => return room.over(Over::Crowded),
    };
    drop(seat);
    let handover = match Get::parse(&bytes) {
        Some(request) if speaks == Speaks::Http1 => room.handler.take_over(&request, socket, peer).await,
        _ => Handover::Left(socket, None),
    };
    let Handover::Left(socket, answer) = handover else { return };
    let activity = Activity::new(speaks, room.bounds, room.waiting.clone(), look);
    // In a box: those who are taken over, which is most, need not have room for it.
    Box::pin(converse(Rewind::new(bytes, socket), speaks, peer, room, activity, answer)).await;
}

async fn serve_tls<H: Handler>(socket: TcpStream, peer: SocketAddr, tls: Arc<Tls>, room: Arc<Room<H>>) {
    let look = Arc::new(Notify::new());
    let seat = room.waiting.sit(&look);
    let shaken = tokio::select! {
        biased;
        shaken = timeout(room.bounds.head, tls.accept(socket)) => shaken,
        () = room.finish.cancelled() => return,
        () = look.notified() => return room.over(Over::Crowded),
    };
    match shaken {
        Ok(Ok((stream, speaks))) => {
            let activity = Activity::new(speaks, room.bounds, room.waiting.clone(), look);
            drop(seat);
            Box::pin(converse(stream, speaks, peer, room, activity, None)).await;
        }
        Ok(Err(error)) => debug!(%error, %peer, "no TLS came about"),
        Err(_) => room.over(Over::HeadLate),
    }
}
