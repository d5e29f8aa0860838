//! Events: what was published is what arrives.

use super::{Outcome, Probe, fail};
use crate::subscription::Received;

pub async fn messages(probe: &Probe) -> Outcome {
    probe.publisher()?;
    let mut subscription = probe.open(&[]).await?;
    let data = probe.publish(["first", "second"]).await?;
    for wanted in data {
        let Received { event, .. } = subscription.next().await?;
        if (event.event.as_str(), &event.data) != ("message", &wanted) {
            return fail(format!("{} {:?} came where message {wanted:?} was next", event.event, event.data));
        }
    }
    Ok("both came".into())
}

pub async fn named(probe: &Probe) -> Outcome {
    let publisher = probe.publisher()?;
    let mut subscription = probe.open(&[]).await?;
    publisher.publish(Some("trade"), &probe.run).await?;
    let event = subscription.next().await?.event;
    if event.event == "trade" { Ok("trade".into()) } else { fail(format!("{} came, not trade", event.event)) }
}

/// Data of every kind of line, as a parser must give it back; and of the bytes as they are, that they are UTF-8 and
/// hold no field that the standard does not know (WHATWG HTML 9.2.6).
pub async fn framing(probe: &Probe) -> Outcome {
    let publisher = probe.publisher()?;
    let mut subscription = probe.open(&[]).await?;
    for tail in ["one\ntwo", "\n", " leading space", "größe 🦀", "data: x\nid: 1\nevent: y", "a\n\nb"] {
        let data = format!("{} {tail}", probe.run);
        publisher.publish(None, &data).await?;
        let got = subscription.next().await?.event.data;
        if got != data {
            return fail(format!("{data:?} arrived as {got:?}"));
        }
    }
    let Ok(text) = std::str::from_utf8(&subscription.text) else { return fail("the stream is not UTF-8") };
    for line in text.lines() {
        let field = line.split(':').next().unwrap_or_default();
        if !["", "event", "data", "id", "retry"].contains(&field) {
            return fail(format!("a line of a field {field:?}, which no client knows"));
        }
    }
    Ok("six kinds of data came back as they were".into())
}

/// Larger than the buffers of a proxy.
pub async fn large(probe: &Probe) -> Outcome {
    let publisher = probe.publisher()?;
    let mut subscription = probe.open(&[]).await?;
    let data = format!("{} {}", probe.run, "0123456789".repeat(10 << 10));
    publisher.publish(None, &data).await?;
    let got = subscription.next().await?.event.data;
    if got == data { Ok("it came".into()) } else { fail(format!("{} bytes came of {}", got.len(), data.len())) }
}

pub async fn ids(probe: &Probe) -> Outcome {
    probe.publisher()?;
    let mut subscription = probe.open(&[]).await?;
    probe.publish(["a", "b", "c"]).await?;
    let mut seen = vec![String::new()];
    for _ in 0..3 {
        let id = subscription.next().await?.event.id;
        if seen.contains(&id) {
            return fail(if id.is_empty() { "an event without an id".into() } else { format!("{id} came twice") });
        }
        seen.push(id);
    }
    Ok(format!("such as {}", seen[1]))
}
