//! What `broker.redis.confirm` costs publishers: waiting until a replica has each event. Both Redises and the node share
//! the machine's cores, so it is the round trips that count, and not a network.

use std::io;

use super::Round;
use crate::bench::{
    clients::as_fast_as_possible,
    servers::{Redis, Server},
    table::Row,
};

const BASE: Option<&str> = Some("unconfirmed");
static ONE: Row = Row { scenario: "confirm", figure: "events a second, 1 in flight", unit: "", base: BASE };
static SOME: Row = Row { scenario: "confirm", figure: "events a second, 16 in flight", unit: "", base: BASE };
static MANY: Row = Row { scenario: "confirm", figure: "events a second, 256 in flight", unit: "", base: BASE };

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    for (replicas, name) in [(0, "unconfirmed"), (1, "sse-node")] {
        let redis = Redis::start(round.place, false).await?;
        let replica = Redis::start(round.place, false).await?;
        replica.follow(&redis).await?;
        let broker = format!(
            "  broker: {{redis: {{confirm: {{replicas: {replicas}}}, external: {{url: \"redis://{}\"}}}}}}\n",
            redis.address
        );
        let node = Server::node_with(round.place, None, &broker).await?;
        for (row, in_flight) in [(&ONE, "1"), (&SOME, "16"), (&MANY, "256")] {
            let published = as_fast_as_possible(round.place, &node, in_flight).await?;
            round.table.record(round.number, row, name, published);
        }
    }
    Ok(())
}
