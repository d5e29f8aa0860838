//! All come at once: what it costs to let one in, and to check its token first.

use std::{fs, io, time::Duration};

use super::{Round, amount};
use crate::bench::{
    clients::Swarm,
    servers::Server,
    table::Row,
    tokens::{Algorithm, Signer},
};

static HS256: Row =
    Row { scenario: "burst", figure: "CPU per accepted connection, HS256", unit: "µs", base: Some("no auth") };
static ES256: Row =
    Row { scenario: "burst", figure: "CPU per accepted connection, ES256", unit: "µs", base: Some("no auth") };

pub async fn run(round: &mut Round<'_>) -> io::Result<()> {
    let connections = round.connections(10_000);
    let folder = round.place.folder.path();
    let open = accept(round, connections, "", &[]).await?;
    for (row, algorithm) in [(&HS256, Algorithm::HS256), (&ES256, Algorithm::ES256)] {
        let signer = Signer::new(algorithm)?;
        let key = folder.join(algorithm.name());
        fs::create_dir_all(&key)?;
        fs::write(key.join("key"), signer.key())?;
        let tokens: Result<Vec<_>, _> = (0..connections).map(|n| signer.token(n)).collect();
        let file = folder.join(format!("{}.tokens", algorithm.name()));
        fs::write(&file, tokens?.join("\n"))?;
        let file = file.to_string_lossy();
        let cost = accept(round, connections, &manifest(algorithm), &["--tokens-from", &file]).await?;
        round.table.record(round.number, row, "no auth", open);
        round.table.record(round.number, row, "sse-node", cost);
    }
    Ok(())
}

fn manifest(algorithm: Algorithm) -> String {
    let (name, kind) = (algorithm.name(), algorithm.reference());
    format!(
        "  auth: {{jwt: {{algorithms: [{}], keys: [{{{kind}: {{name: {name}, key: key}}}}]}}}}\n",
        name.to_uppercase()
    )
}

/// The CPU, in microseconds, that a node takes to let one of so many in.
async fn accept(round: &Round<'_>, connections: u64, spec: &str, more: &[&str]) -> io::Result<f64> {
    let server = Server::node_with(round.place, None, spec).await?;
    let before = server.process.cost()?;
    let arguments = [&["--connecting", "10000"], more].concat();
    let swarm = Swarm::start(round.place, &[&server], connections, &arguments).await?;
    let cost = amount(server.process.cost()?.cpu - before.cpu) / 1_000.0 / amount(connections);
    let found = swarm.stop().await?;
    if found["refused"].as_u64() != Some(0) {
        return Err(io::Error::other(format!("{} were refused{spec}", found["refused"])));
    }
    // Its memory and its sockets are gone before the next one begins.
    drop(server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(cost)
}
