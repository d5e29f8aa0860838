//! When things arrive: nothing is held back, neither by a compressor nor by a proxy, and silence does not last.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::{Outcome, Probe, fail};

pub async fn retry(probe: &Probe) -> Outcome {
    let mut subscription = probe.open(&[]).await?;
    // It is at the beginning, or with an event.
    if probe.publisher.is_some() {
        probe.publish(["retry"]).await?;
        subscription.next().await?;
    } else {
        subscription.listen(Duration::from_secs(2)).await;
    }
    match subscription.retry() {
        Some(retry) => Ok(format!("{retry} ms")),
        None => fail("none; clients take their own, 3 to 5 s, all of them alike"),
    }
}

/// Most proxies cut a connection that is silent for a minute, some after 30 s.
pub async fn heartbeat(probe: &Probe) -> Outcome {
    let mut subscription = probe.open(&[]).await?;
    // What a stream begins with is no heartbeat.
    subscription.listen(Duration::from_millis(500)).await;
    let begun = Instant::now();
    subscription.heartbeat(probe.heartbeat).await?;
    Ok(format!("after {:.1} s", begun.elapsed().as_secs_f64()))
}

const EVENTS: usize = 6;
const APART: Duration = Duration::from_millis(100);

/// Who holds events back delivers them together. A busy machine may do so once, hence up to three tries.
pub async fn spacing(probe: &Probe) -> Outcome {
    let mut late = 0;
    for _ in 0..3 {
        let (slowest, bunched) = spaced(probe).await?;
        if bunched == 0 {
            return Ok(format!("each before the next was published; the slowest after {} ms", slowest.as_millis()));
        }
        late = bunched;
    }
    fail(format!("{late} of {EVENTS} came only after the next was published"))
}

/// How long the slowest event took, and how many came after their successor was published.
async fn spaced(probe: &Probe) -> Result<(Duration, usize), super::Otherwise> {
    probe.publisher()?;
    let mut subscription = probe.open(&[]).await?;
    let mut clock = interval(APART);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let publishing = async {
        let mut published = Vec::new();
        for number in 0..EVENTS {
            clock.tick().await;
            published.push(Instant::now());
            probe.publish([format!("spaced {number}").as_str()]).await?;
        }
        Ok::<_, super::Otherwise>(published)
    };
    let reading = async {
        let mut arrived = Vec::new();
        for _ in 0..EVENTS {
            arrived.push(subscription.next().await?.at);
        }
        Ok::<_, super::Otherwise>(arrived)
    };
    let (published, arrived) = tokio::try_join!(publishing, reading)?;
    let waits: Vec<_> = published.iter().zip(&arrived).map(|(sent, came)| came.duration_since(*sent)).collect();
    let late = published.iter().skip(1).zip(&arrived).filter(|(next, came)| came > next).count();
    Ok((waits.into_iter().max().unwrap_or_default(), late))
}

/// A compressor that fills its window first, or a proxy that compresses by itself, holds events back until there are
/// enough of them. Whether the answer is compressed at all is the server's choice.
pub async fn gzip(probe: &Probe) -> Outcome {
    probe.publisher()?;
    let mut subscription = probe.open(&[("accept-encoding", "gzip")]).await?;
    for name in ["small", &"compressible ".repeat(400), "small again"] {
        let data = probe.publish([name]).await?;
        subscription.expect(&data).await?;
    }
    Ok(if subscription.is_gzip() { "gzip, each by itself" } else { "not compressed, each by itself" }.into())
}
