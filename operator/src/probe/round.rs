//! One round of probes: every way of a stream, one after the other, until one is found to be bad. Two questions each:
//! first, whether comments arrive apart; then, whether silence is survived that lasts a little longer than what a
//! subscriber has to bear between two heartbeats.

use std::{collections::BTreeMap, time::Duration};

use rustls::RootCertStore;
use ssefleet_crds::probe::{APART, MOST, Script};

use super::{
    ask::{Question, ask},
    finding::{Finding, Measured, Outcome},
    judge::{Fault, failed, judge},
    pass::Key,
    remedy::remedy,
    trust::{self, Held},
    way::{Plan, Way},
};

/// Buffers are found in a second, before anything else is asked.
const SPACED: Script = Script { comments: 10, silence: Duration::ZERO };
/// Long enough to find a proxy's deadline of 15 s for a whole answer, as Envoy has one.
const SILENCE: Duration = Duration::from_secs(20);
/// Beyond the heartbeat that is waited for.
const MARGIN: Duration = Duration::from_secs(5);

/// What the Secrets hold that a round needs.
pub struct Secrets {
    pub key: Key,
    /// By the name of the ways' Secrets.
    pub held: BTreeMap<String, Held>,
}

/// Probes every way.
pub async fn round(plan: &Plan, secrets: &Secrets, roots: &RootCertStore) -> Finding {
    let silence = silence(plan.heartbeat);
    let mut first = None;
    for way in &plan.ways {
        match by(way, plan, secrets, roots, silence).await {
            Ok(measured) => first = first.or(Some(measured)),
            Err(fault) => return told(way, &fault),
        }
    }
    let ways: Vec<_> = plan.ways.iter().map(ToString::to_string).collect();
    // The same words as long as it is so: a status that says the same is not written again.
    let message = format!(
        "Through {}: comments sent {} ms apart arrive apart, and silence of {} s between heartbeats every {} s is survived",
        ways.join(" and "),
        APART.as_millis(),
        silence.as_secs(),
        plan.heartbeat.as_secs(),
    );
    Finding { outcome: Outcome::Streaming, message, measured: first.unwrap_or_default() }
}

async fn by(
    way: &Way,
    plan: &Plan,
    secrets: &Secrets,
    roots: &RootCertStore,
    silence: Duration,
) -> Result<Measured, Fault> {
    let tls = match &way.tls {
        None => None,
        Some(tls) => {
            let held = tls.secret.as_ref().and_then(|name| secrets.held.get(name)).cloned().unwrap_or_default();
            let config = trust::config(roots, held).map_err(|error| Fault {
                outcome: Outcome::TlsFailed,
                sentence: format!("TLS can't be set up: {error}"),
            })?;
            Some(config)
        }
    };
    let answer = async |script| {
        let pass = secrets.key.pass(&plan.namespace, &plan.name, script);
        let asked = ask(Question { way, path: &plan.path, pass, script, tls: tls.clone() }).await;
        judge(script, &asked.map_err(|error| failed(&error))?)
    };
    let spaced = answer(SPACED).await?;
    let silent = answer(Script { comments: 2, silence }).await?;
    Ok(Measured { held: silent.held, ..spaced })
}

/// A little longer than a heartbeat, so that one must arrive: then a proxy that allows less silence than that is found.
fn silence(heartbeat: Duration) -> Duration {
    let whole = Duration::from_secs(heartbeat.as_secs() + u64::from(heartbeat.subsec_nanos() > 0));
    (whole + MARGIN).clamp(SILENCE, MOST.silence)
}

fn told(way: &Way, fault: &Fault) -> Finding {
    let (outcome, sentence) = (fault.outcome, &fault.sentence);
    let message = format!("Through {way}: {sentence}. {}", remedy(outcome, way));
    Finding { outcome, message, measured: Measured::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silence_has_room_for_a_heartbeat() {
        let of = |millis| silence(Duration::from_millis(millis)).as_secs();
        assert_eq!([of(1000), of(15_000), of(15_001), of(60_000), of(600_000)], [20, 20, 21, 65, 120]);
    }
}
