//! Coming back: by what a browser sends by itself, by what a page can put into a URL, and with an id of long ago.

use super::{Otherwise, Outcome, Probe, fail};
use crate::subscription::{Missing, Subscription};

pub async fn by_header(probe: &Probe) -> Outcome {
    resume(probe, async |id| probe.open(&[("last-event-id", id)]).await).await
}

pub async fn by_query(probe: &Probe) -> Outcome {
    let open = async |id: &str| {
        let parameter = Some((probe.id_parameter.as_str(), id));
        Subscription::open(&probe.target, &probe.run, parameter, &[]).await
    };
    resume(probe, open).await
}

/// Goes away after the first of two events, comes back after two more, and stays for a fifth.
async fn resume(probe: &Probe, open: impl AsyncFn(&str) -> Result<Subscription, Missing>) -> Outcome {
    probe.publisher()?;
    let mut before = probe.open(&[]).await?;
    let [first, second] = probe.publish(["before", "missed 1"]).await?;
    let id = before.expect(&[first]).await?;
    if id.is_empty() {
        return fail("the first event has no id to come back with");
    }
    drop(before);
    let [third, fourth] = probe.publish(["missed 2", "missed 3"]).await?;
    let mut after = open(&id).await?;
    after.expect(&[second, third, fourth]).await?;
    let live = probe.publish(["live"]).await?;
    after.expect(&live).await?;
    Ok("three missed events and a live one came, each once".into())
}

/// A status other than 200 would end a browser's EventSource for good, because of an id that it cannot change.
pub async fn unknown(probe: &Probe) -> Outcome {
    let mut subscription = probe.open(&[("last-event-id", "never-given-0")]).await?;
    if probe.publisher.is_none() {
        return Ok("200".into());
    }
    let live = probe.publish(["after an unknown id"]).await?;
    match subscription.next().await {
        Ok(received) if received.event.data == live[0] => Ok("200, and what is published from then on".into()),
        // A server may well send all it has.
        Ok(_) => Ok("200, and what there is".into()),
        Err(why) => Err(Otherwise::Fail(format!("200, and then {why}"))),
    }
}
