//! The API server away altogether: the operator stays, does no harm, and goes on when it is back.

use std::time::Duration;

use serde_json::json;
use ssefleet_tests::faults::{Fault, What};
use tokio::time::sleep;

use crate::arena::Arena;

#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for() {
    let arena = Arena::new("away").await;
    let spec = json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}});
    arena.proxy.inject(Fault::always(What::Break, |_| true));
    let mut operator = arena.operator();
    arena.apply(&spec).await;
    sleep(Duration::from_secs(3)).await;
    assert!(operator.is_running(), "it gave up");
    let tries = arena.proxy.seen().len();
    // Nine kinds, each at once and after 0.8 and 2.4 s or somewhat earlier.
    assert!((9..=40).contains(&tries), "{tries} requests in three seconds");
    arena.proxy.heal();
    arena.settled().await;
    operator.reconciled(1.0).await;

    arena.proxy.inject(Fault::always(What::Break, |_| true));
    arena.proxy.cut_watches();
    arena.apply(&json!({"broker": {"memory": {}}, "fleet": {"replicas": 1}, "path": "/other"})).await;
    sleep(Duration::from_secs(3)).await;
    arena.proxy.heal();
    arena.settled().await;
    assert!(operator.is_running());
}
