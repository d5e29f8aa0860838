//! What an answer says of the way that it came by: pure, so that every kind of proxy can be a line of a test.

use std::time::Duration;

use hyper::StatusCode;
use ssefleet_crds::probe::{APART, BUSY, REFUSED, Script};

use super::{
    ask::{Answer, Arrival, Ending, Error},
    finding::{Measured, Outcome},
};

/// What is the matter, in a sentence without a remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub outcome: Outcome,
    pub sentence: String,
}

impl Fault {
    fn new(outcome: Outcome, sentence: impl Into<String>) -> Self {
        Self { outcome, sentence: sentence.into() }
    }
}

/// There was no answer.
pub fn failed(error: &Error) -> Fault {
    match error {
        Error::Connect(_) | Error::ConnectLate => {
            Fault::new(Outcome::NotReached, format!("the operator can't connect: {error}"))
        }
        Error::Tls(_) | Error::TlsLate | Error::Name(_) => {
            Fault::new(Outcome::TlsFailed, format!("TLS does not come about: {error}"))
        }
        Error::Http(error) if error.is_parse() => {
            Fault::new(Outcome::WrongAnswer, format!("what answers there does not speak HTTP ({error})"))
        }
        Error::Http(error) => {
            Fault::new(Outcome::NoAnswer, format!("the connection ended without an answer ({error})"))
        }
        Error::Late(_) => Fault::new(Outcome::NoAnswer, error.to_string()),
    }
}

/// There was one. Err: it is not that of a way that streams.
pub fn judge(script: Script, answer: &Answer) -> Result<Measured, Fault> {
    whose(answer)?;
    let comments = &answer.comments;
    if let Some(fault) = held_back(comments) {
        return Err(fault);
    }
    match answer.ending {
        Ending::Complete => {}
        Ending::Stopped => return Err(Fault::new(Outcome::NotProbed, "the node that answered was about to stop")),
        Ending::Absent => {
            return Err(Fault::new(
                Outcome::NoNode,
                "the stream that stands in for the nodes answers, as none can be reached",
            ));
        }
        Ending::Cut | Ending::Never => return Err(cut(script, answer)),
    }
    // Whoever rewrites the stream may have lost some.
    if comments.len() < script.comments as usize {
        let sentence = format!("of {} comments {} arrived", script.comments, comments.len());
        return Err(Fault::new(Outcome::WrongAnswer, sentence));
    }
    Ok(Measured {
        first_byte: Some(answer.first_byte),
        spacing: median_gap(comments),
        held: (!script.silence.is_zero()).then_some(answer.lasted),
    })
}

/// Whether it is an answer of the stream's nodes.
fn whose(answer: &Answer) -> Result<(), Fault> {
    match answer.word.as_deref() {
        Some(REFUSED) => {
            let sentence = "the node that answered did not take the operator's pass: it has not got the Secret with the admin token yet, or their clocks are more than two minutes apart";
            return Err(Fault::new(Outcome::NotProbed, sentence));
        }
        Some(BUSY) => return Err(Fault::new(Outcome::NotProbed, "the node that answered has enough probes just now")),
        _ => {}
    }
    let Answer { status, content_type, .. } = answer;
    if *status != StatusCode::OK {
        let sentence = format!("the answer is {} where it should be 200", status.as_u16());
        return Err(Fault::new(Outcome::WrongAnswer, sentence));
    }
    if !content_type.starts_with("text/event-stream") {
        let sentence = format!("the answer is of type \"{content_type}\" where it should be text/event-stream");
        return Err(Fault::new(Outcome::WrongAnswer, sentence));
    }
    if let Some(coding) = &answer.content_encoding {
        let sentence = format!("something on the way compresses the stream (Content-Encoding: {coding})");
        return Err(Fault::new(Outcome::Compressed, sentence));
    }
    if answer.strange {
        let sentence = "the answer is an event stream, but not one of this stream's nodes";
        return Err(Fault::new(Outcome::WrongAnswer, sentence));
    }
    Ok(())
}

/// Comments that waited for others somewhere on the way: for more than half of the time over which they were sent.
/// Two clocks can't be compared, but each with itself: what differs is how long each comment took beyond the fastest.
fn held_back(comments: &[Arrival]) -> Option<Fault> {
    let (first, last) = (comments.first()?, comments.last()?);
    let sent_over = last.sent.saturating_sub(first.sent);
    // Over less than this, a moment's delay would show as much.
    if sent_over < 3 * APART {
        return None;
    }
    let took = |arrival: &Arrival| arrival.came.as_secs_f64() - arrival.sent.saturating_sub(first.sent).as_secs_f64();
    let fastest = comments.iter().map(took).fold(f64::INFINITY, f64::min);
    let slowest = comments.iter().map(took).fold(f64::NEG_INFINITY, f64::max);
    if slowest - fastest <= sent_over.as_secs_f64() / 2.0 {
        return None;
    }
    let (sent, together) = (comments.len(), first.came.as_secs_f64());
    let over = last.came.saturating_sub(first.came);
    let how = if over < APART { "together".to_owned() } else { format!("within {:.1} s", over.as_secs_f64()) };
    let sentence = format!("{sent} comments sent {} ms apart arrived {how} after {together:.1} s", APART.as_millis());
    Some(Fault::new(Outcome::Buffered, sentence))
}

fn cut(script: Script, answer: &Answer) -> Fault {
    let (lasted, should) = (answer.lasted.as_secs_f64(), (APART * script.comments + script.silence).as_secs_f64());
    let silent = answer.lasted.saturating_sub(answer.heard).as_secs_f64();
    let sentence = if answer.ending == Ending::Never {
        format!("a stream that should end after {should:.1} s fell silent after {:.1} s", answer.heard.as_secs_f64())
    } else {
        format!(
            "a stream that should last {should:.1} s was cut after {lasted:.1} s, {silent:.1} s after its last byte"
        )
    };
    Fault::new(Outcome::CutShort, sentence)
}

fn median_gap(comments: &[Arrival]) -> Option<Duration> {
    let pairs = comments.windows(2);
    let mut gaps: Vec<_> =
        pairs.filter_map(|pair| Some(pair.last()?.came.saturating_sub(pair.first()?.came))).collect();
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACED: Script = Script { comments: 10, silence: Duration::ZERO };
    const SILENT: Script = Script { comments: 2, silence: Duration::from_secs(20) };

    fn answer(came: &[u64]) -> Answer {
        let arrival = |(n, came): (u64, &u64)| Arrival {
            sent: Duration::from_millis(1_790_000_000_000 + 100 * n),
            came: Duration::from_millis(*came),
        };
        let comments: Vec<_> = (0..).zip(came).map(arrival).collect();
        let heard = comments.last().map_or(Duration::from_millis(5), |last| last.came);
        Answer {
            status: StatusCode::OK,
            content_type: "text/event-stream".into(),
            content_encoding: None,
            word: None,
            first_byte: Duration::from_millis(5),
            comments,
            strange: false,
            ending: Ending::Complete,
            lasted: heard,
            heard,
        }
    }

    fn apart() -> Answer {
        answer(&[10, 110, 210, 310, 410, 510, 610, 710, 810, 910])
    }

    fn told(script: Script, answer: &Answer) -> String {
        match judge(script, answer) {
            Ok(_) => "good".into(),
            Err(Fault { outcome, sentence }) => format!("{}: {sentence}", outcome.reason()),
        }
    }

    #[test]
    fn what_arrives_apart_is_good() {
        let measured = judge(SPACED, &apart()).unwrap();
        let ms = Duration::from_millis;
        assert_eq!(measured, Measured { first_byte: Some(ms(5)), spacing: Some(ms(100)), held: None });
        // A packet that was lost, and came with the next ones.
        assert_eq!(told(SPACED, &answer(&[10, 110, 450, 451, 452, 510, 610, 710, 810, 910])), "good");
        // Late, but all of them alike.
        assert_eq!(told(SPACED, &answer(&[3010, 3110, 3210, 3310, 3410, 3510, 3610, 3710, 3810, 3910])), "good");
    }

    #[test]
    fn what_waits_for_others_is_buffered() {
        let together = [1000, 1000, 1000, 1001, 1001, 1001, 1001, 1002, 1002, 1002];
        assert_eq!(
            told(SPACED, &answer(&together)),
            "Buffered: 10 comments sent 100 ms apart arrived together after 1.0 s"
        );
        let by_halves = [500, 500, 500, 500, 500, 1000, 1000, 1000, 1000, 1000];
        assert_eq!(
            told(SPACED, &answer(&by_halves)),
            "good",
            "400 ms of 900: a proxy that hands on twice a second is slow, and no more"
        );
        let all_but_the_last = [810, 810, 810, 810, 810, 810, 810, 810, 810, 910];
        assert_eq!(
            told(SPACED, &answer(&all_but_the_last)),
            "Buffered: 10 comments sent 100 ms apart arrived within 0.1 s after 0.8 s"
        );
        // Held, and then cut: that it is held is what is to be mended first.
        let cut = Answer { ending: Ending::Cut, ..answer(&together) };
        assert!(told(SPACED, &cut).starts_with("Buffered"));
    }

    #[test]
    fn what_ends_too_soon_is_cut_short() {
        let seconds = Duration::from_secs_f64;
        let silence = Answer { ending: Ending::Cut, lasted: seconds(2.11), ..answer(&[10, 110]) };
        assert_eq!(
            told(SILENT, &silence),
            "CutShort: a stream that should last 20.2 s was cut after 2.1 s, 2.0 s after its last byte"
        );
        let in_all = Answer { ending: Ending::Cut, lasted: seconds(15.0), heard: seconds(14.9), ..answer(&[10, 110]) };
        assert!(told(SILENT, &in_all).ends_with("cut after 15.0 s, 0.1 s after its last byte"));
        let never = Answer { ending: Ending::Never, lasted: seconds(30.2), ..answer(&[10, 110]) };
        assert_eq!(told(SILENT, &never), "CutShort: a stream that should end after 20.2 s fell silent after 0.1 s");
        let at_once = Answer { ending: Ending::Cut, ..answer(&[]) };
        assert!(told(SILENT, &at_once).starts_with("CutShort"));
    }

    #[test]
    fn other_answers_are_told_apart() {
        let with = |change: &dyn Fn(&mut Answer)| {
            let mut answer = apart();
            change(&mut answer);
            told(SPACED, &answer)
        };
        assert!(with(&|a| a.status = StatusCode::NOT_FOUND).starts_with("WrongAnswer: the answer is 404"));
        assert!(with(&|a| a.content_type = "text/html".into()).starts_with("WrongAnswer: the answer is of type"));
        assert!(with(&|a| a.content_encoding = Some("gzip".into())).starts_with("Compressed"));
        assert!(with(&|a| a.strange = true).starts_with("WrongAnswer"));
        assert!(with(&|a| a.comments.truncate(9)).starts_with("WrongAnswer: of 10 comments 9 arrived"));
        for word in [REFUSED, BUSY] {
            let told = with(&|a| (a.status, a.word) = (StatusCode::FORBIDDEN, Some(word.into())));
            assert!(told.starts_with("NotProbed"), "{told}");
        }
        assert!(with(&|a| a.ending = Ending::Stopped).starts_with("NotProbed"));
        assert!(with(&|a| (a.ending, a.comments) = (Ending::Absent, Vec::new())).starts_with("NoNode"));
    }
}
