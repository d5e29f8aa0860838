//! Half an hour as it is in life: two nodes on one Redis, clients that leave and come back at either node, and a
//! Redis that dies three times. Nothing that was acknowledged may be missing or come twice, and memory must not grow.

use std::{
    io,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Place,
    clients::{Order, Swarm, faults, publish_within},
    scenarios::amount,
    servers::{Redis, Server},
};

/// What of it is to be how large.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub seconds: u64,
    pub connections: u64,
    /// Events a second.
    pub rate: u64,
    /// Of 100 connections, so many leave each minute.
    pub churn: u64,
    /// The most that the nodes' memory in the last sixth may be of that in the first.
    pub growth: f64,
}

/// Redis is away so long each time.
const AWAY: Duration = Duration::from_secs(2);
const RESTARTS: u32 = 3;

/// Runs it; what was found, and whether it is good.
pub async fn run(place: &Place, size: Size) -> io::Result<(Value, bool)> {
    let mut redis = Redis::start(place, true).await?;
    // Full well before the first sixth is over: until then, memory that grows is the history's.
    let kept = (size.seconds * size.rate / 20).max(3_000);
    let history = format!("  history: {{maxEvents: {kept}}}\n");
    let node = async || Server::node_with(place, Some(&redis), &history).await;
    let nodes = [node().await?, node().await?];
    let events = (size.seconds * size.rate).to_string();
    let (churn, timeout) = (size.churn.to_string(), (size.seconds + 900).to_string());
    let arguments = ["--expect", &events, "--churn", &churn, "--timeout", &timeout];
    let mut swarm = Swarm::start(place, &[&nodes[0], &nodes[1]], size.connections, &arguments).await?;

    let mut memory = Vec::new();
    let rate = size.rate.to_string();
    let load = ["--events", &events, "--rate", &rate, "--retry"];
    let publishing = publish_within(place, &nodes[0], &load, Duration::from_secs(size.seconds + 300));
    let watching = watch(&mut redis, &nodes, &mut swarm, &mut memory, size);
    let (published, watched) = tokio::join!(publishing, watching);
    let published = published?;
    watched?;
    let late = swarm.until("complete", size.connections, Duration::from_mins(5)).await;
    let found = swarm.stop().await?;

    let sixths = sixths(&memory);
    let growth = sixths[5] / sixths[0];
    let acknowledged = published["acknowledged"].as_u64() == published["events"].as_u64();
    let good = acknowledged && late.is_ok() && faults(&found, Order::Published) == 0.0 && found["gaps"] == 0;
    let result = json!({
        "published": published,
        "received": found,
        "redis_restarts": RESTARTS,
        "memory_kib_by_sixths": sixths.map(f64::round),
        "memory_growth": growth,
        "memory_growth_allowed": size.growth,
        "late": late.err().map(|error| error.to_string()),
    });
    Ok((result, good && growth <= size.growth))
}

/// Kills Redis when it is time, and notes the nodes' memory each second.
async fn watch(
    redis: &mut Redis,
    nodes: &[Server],
    swarm: &mut Swarm,
    memory: &mut Vec<f64>,
    size: Size,
) -> io::Result<()> {
    let begun = Instant::now();
    let duration = Duration::from_secs(size.seconds);
    let mut restarts = 0;
    let mut noted = Instant::now();
    while begun.elapsed() < duration {
        let progress = swarm.next().await?; // about each 50 ms
        if noted.elapsed() >= Duration::from_secs(1) {
            noted = Instant::now();
            let sum: io::Result<u64> = nodes.iter().map(|node| Ok(node.process.cost()?.memory)).sum();
            memory.push(amount(sum?));
            if begun.elapsed().as_secs().is_multiple_of(10) {
                eprintln!("soak: {} s of {}, {progress:?}", begun.elapsed().as_secs(), size.seconds);
            }
        }
        if restarts < RESTARTS && begun.elapsed() >= duration * (restarts + 1) / (RESTARTS + 1) {
            restarts += 1;
            eprintln!("soak: Redis is killed");
            redis.kill()?;
            sleep(AWAY).await;
            redis.restart().await?;
        }
    }
    Ok(())
}

/// The mean of each sixth of the time.
fn sixths(memory: &[f64]) -> [f64; 6] {
    std::array::from_fn(|sixth| {
        let part = &memory[memory.len() * sixth / 6..memory.len() * (sixth + 1) / 6];
        part.iter().sum::<f64>() / amount(part.len() as u64)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_told_by_sixths() {
        let memory = [10.0, 10.0, 50.0, 52.0, 50.0, 50.0, 50.0, 50.0, 50.0, 50.0, 11.0, 13.0];
        let told = super::sixths(&memory).map(|kib| kib.to_string());
        assert_eq!(told, ["10", "51", "50", "50", "50", "12"]);
    }
}
