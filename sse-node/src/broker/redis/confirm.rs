//! Waiting until replicas have what was written on a connection, by WAIT: one for all who wait meanwhile.
//!
//! WAIT holds up the connection it runs on until it is answered, and what it is answered covers all that the connection
//! wrote before. So whoever has its entries written asks for a round; the rounds run one after the other, each for
//! all who asked before it began, and a failed one fails all of them.

use std::{sync::atomic::Ordering, time::Duration};

use redis::Pipeline;
use ssefleet_crds::validated::Confirm;

use super::{
    connection::{Connection, Round},
    refused::broken,
};
use crate::broker::BrokerError;

impl Connection {
    /// Returns when so many replicas have all that was written on this connection before.
    pub async fn confirmed(&self, confirm: Confirm, answer_within: Duration) -> Result<(), BrokerError> {
        if confirm.replicas == 0 {
            return Ok(());
        }
        let mine = self.rounds.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last = self.rounds.last.lock().await;
        if last.covers < mine {
            let covers = self.rounds.asked.load(Ordering::Relaxed);
            let mut wait = redis::cmd("WAIT");
            wait.arg(confirm.replicas).arg(confirm.timeout.as_millis().to_string());
            let mut connection = self.patient(answer_within + confirm.timeout);
            // Not kept if it fails: then the connection is over, and whoever waits finds that out.
            let have = wait.query_async(&mut connection).await.map_err(broken)?;
            *last = Round { covers, have };
        }
        enough(last.have, confirm)
    }

    /// Returns when so many replicas have all that was read on this connection before. Redis counts from what a
    /// connection has written, so something is: for as long as it takes, under a key that means nothing.
    pub async fn read_is_confirmed(
        &self,
        mark: &str,
        confirm: Confirm,
        answer_within: Duration,
    ) -> Result<(), BrokerError> {
        if confirm.replicas == 0 {
            return Ok(());
        }
        let mut connection = self.patient(answer_within + confirm.timeout);
        let mut pipeline = Pipeline::new();
        // PEXPIRE works in a Redis that is out of memory, but only if there is the key.
        pipeline.cmd("PEXPIRE").arg(mark).arg(MARKED.as_millis().to_string());
        pipeline.cmd("WAIT").arg(confirm.replicas).arg(confirm.timeout.as_millis().to_string());
        let (written, have): (bool, u32) = pipeline.query_async(&mut connection).await.map_err(broken)?;
        if written {
            return enough(have, confirm);
        }
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").arg(mark).arg("").arg("PX").arg(MARKED.as_millis().to_string());
        pipeline.cmd("WAIT").arg(confirm.replicas).arg(confirm.timeout.as_millis().to_string());
        let ((), have): ((), u32) = pipeline.query_async(&mut connection).await.map_err(broken)?;
        enough(have, confirm)
    }
}

/// How long the key of [`Connection::read_is_confirmed`] is there.
const MARKED: Duration = Duration::from_hours(24);

fn enough(have: u32, confirm: Confirm) -> Result<(), BrokerError> {
    let wanted = confirm.replicas;
    if have >= wanted { Ok(()) } else { Err(BrokerError::Unconfirmed { have, wanted }) }
}
