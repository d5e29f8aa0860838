//! NDJSON that is stored as it comes: one batch is on its way to the log while the next is read, and the body
//! is read no further than that. So a body may be of any length, and a publisher is held to the log's pace.

use futures_util::future::{BoxFuture, pending};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until};

use super::{
    Publish,
    answer::{Ids, Refusal},
    intake::Patience,
    lines::{Cut, Lines},
};
use crate::{
    auth::Publisher,
    event::{NewEvent, Position},
    limits::Budget,
    publication::{Head, Refused},
};

/// The most lines that are stored at once.
const LINES: usize = 256;
/// The most bytes of data that are stored at once, unless a single event has more.
const BYTES: usize = 1 << 20;

/// Stores what comes, and says where; or what went wrong, once all before it is stored.
///
/// Who is held to a rate is held to it here as to the log's pace, in that the body is read no further. But not for
/// long: then the first line that was not stored is refused.
pub async fn store(
    publish: &Publish,
    publisher: &Publisher,
    budget: Option<&Budget>,
    head: &Head<'_>,
    mut body: Incoming,
) -> Result<Ids, Refusal> {
    let most = budget.map_or(LINES, |budget| budget.most().min(LINES));
    let mut next = Batch::new(publisher, head, most);
    let (mut under_way, mut first_line): (Option<Append>, usize) = (None, 0);
    let mut ids = Ids::default();
    let Patience { line, finish, .. } = &publish.intake.patience;
    let mut last_line = Instant::now();
    loop {
        if next.fill() {
            last_line = Instant::now();
        }
        if under_way.is_none() {
            if next.events.is_empty() && next.over {
                break;
            }
            if !next.events.is_empty() {
                first_line = next.first_line;
                // A body may take longer than its token is good.
                publish.auth.still(publisher).map_err(|denied| Refusal::from(denied).at_line(first_line, ids.count))?;
                under_way = Some(Box::pin(append(publish, budget, next.take())));
                // There may be more lines already.
                continue;
            }
        }
        tokio::select! {
            appended = done(&mut under_way) => {
                under_way = None;
                let positions = appended.map_err(|refusal| refusal.at_line(first_line, ids.count))?;
                ids.extend(&publish.count(positions));
            }
            frame = body.frame(), if !next.over && !next.is_full() => match frame {
                Some(Ok(frame)) => next.lines.push(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(error)) => next.fail(Refusal::broken_off(&error)),
                None => next.lines.end(),
            },
            // What has come is stored; the rest is not waited for.
            () = finish.cancelled(), if !next.over => next.fail(Refusal::draining()),
            () = sleep_until(last_line + *line), if !next.over && !next.is_full() => {
                next.fail(Refusal::line_too_slow(line.as_secs()));
            }
        }
    }
    match next.failed {
        Some(refusal) => Err(refusal.at_line(next.line, ids.count)),
        None if ids.count == 0 => Err(Refused::Nothing.into()),
        None => Ok(ids),
    }
}

type Append<'a> = BoxFuture<'a, Result<Vec<Position>, Refusal>>;

async fn append(publish: &Publish, budget: Option<&Budget>, events: Vec<NewEvent>) -> Result<Vec<Position>, Refusal> {
    if let Some(budget) = budget {
        budget.wait_and_spend(events.len()).await?;
    }
    Ok(publish.hub.append(events).await?)
}

async fn done(append: &mut Option<Append<'_>>) -> Result<Vec<Position>, Refusal> {
    match append {
        Some(append) => append.await,
        None => pending().await,
    }
}

/// What is to be stored next.
struct Batch<'a> {
    publisher: &'a Publisher,
    head: &'a Head<'a>,
    /// The most events.
    most: usize,
    lines: Lines,
    events: Vec<NewEvent>,
    bytes: usize,
    /// The line of the first event.
    first_line: usize,
    /// The line that was read last.
    line: usize,
    /// Why `line` is the last.
    failed: Option<Refusal>,
    /// No line comes after those that are here.
    over: bool,
}

impl<'a> Batch<'a> {
    fn new(publisher: &'a Publisher, head: &'a Head<'a>, most: usize) -> Self {
        let lines = Lines::new(head.longest());
        Self {
            publisher,
            head,
            most,
            lines,
            events: Vec::new(),
            bytes: 0,
            first_line: 0,
            line: 0,
            failed: None,
            over: false,
        }
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.most || self.bytes >= BYTES
    }

    /// Reads the lines that are there, until it is full; whether there were any.
    fn fill(&mut self) -> bool {
        let before = self.line;
        while !self.over && !self.is_full() {
            match self.lines.cut() {
                Cut::More => break,
                Cut::End => self.over = true,
                Cut::TooLong => self.fail(Refusal::line_too_long(self.head.longest())),
                Cut::Line(number, line) => match self.event(number, &line) {
                    Ok(event) => self.add(number, event),
                    Err(refusal) => self.fail(refusal),
                },
            }
        }
        self.line != before
    }

    fn event(&self, number: usize, line: &[u8]) -> Result<Option<NewEvent>, Refusal> {
        let event = self.head.line(number, line)?;
        event.iter().try_for_each(|event| self.publisher.may(&event.topic))?;
        Ok(event)
    }

    fn add(&mut self, number: usize, event: Option<NewEvent>) {
        self.line = number;
        if let Some(event) = event {
            if self.events.is_empty() {
                self.first_line = number;
            }
            self.bytes += event.data.len();
            self.events.push(event);
        }
    }

    /// The line after the last good one is bad, or will never come.
    fn fail(&mut self, refusal: Refusal) {
        self.line += 1;
        self.failed = Some(refusal);
        self.over = true;
    }

    fn take(&mut self) -> Vec<NewEvent> {
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}
