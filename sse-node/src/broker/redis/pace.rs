//! Turns by way of Redis, and by its clock: one script, one round trip for a tenth of a second's worth of connections.

use std::{sync::LazyLock, time::Duration};

use redis::Script;

use super::Redis;
use crate::broker::{
    BrokerError,
    pace::{Ask, PRESENT, Turn},
};

static PACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("pace.lua")));

impl Redis {
    pub(super) async fn take_turn(&self, ask: &Ask) -> Result<Turn, BrokerError> {
        let mut script = PACE.key(self.beside("pace"));
        script.key(self.beside("nodes"));
        script.arg(ask.count).arg(ask.each.as_micros().to_string());
        script.arg(&ask.node).arg(PRESENT.as_millis().to_string());
        let (after, nodes): (u64, u32) = self.run(async |connection| script.invoke_async(connection).await).await?;
        Ok(Turn { after: Duration::from_micros(after), nodes })
    }
}
