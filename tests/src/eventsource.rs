//! EventSources that are not ours, and what they tell: the programs of `tests/clients/`, which are told what to watch.
//!
//! [`Client::next`] and what is made of it are for tests that say what happens next; [`Client::note`] is for those that
//! keep account of many.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use crate::{helm::repository, must::Must};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whose EventSource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// The package `eventsource` on Node.
    Node,
    Chromium,
}

/// The `readyState` of one that tries again, or will.
pub const CONNECTING: u8 = 0;
/// Of one that never will.
pub const CLOSED: u8 = 2;

/// Something that happened to an EventSource.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Note {
    Open {
        source: u32,
    },
    #[serde(rename_all = "camelCase")]
    Error {
        source: u32,
        ready_state: u8,
    },
    #[serde(rename_all = "camelCase")]
    Event {
        source: u32,
        r#type: String,
        data: String,
        last_event_id: String,
    },
    /// What a page shows, or its console.
    Text {
        text: String,
    },
    /// A page got an answer, from a node or from what stands before it. Told by Chromium, of tabs that were asked to.
    Answer {
        status: u16,
        node: Option<String>,
    },
}

pub struct Client {
    process: Child,
    commands: Option<ChildStdin>,
    notes: mpsc::UnboundedReceiver<Note>,
    begun: Instant,
    /// All that was told, for a test that fails.
    told: Vec<Note>,
}

impl Client {
    /// With nothing to watch yet.
    pub fn start(library: Library) -> Self {
        Self::run(if library == Library::Node { "eventsource.mjs" } else { "chromium.mjs" }, &[])
    }

    /// Chromium with these arguments of its own.
    pub fn chromium(arguments: &[String]) -> Self {
        Self::run("chromium.mjs", arguments)
    }

    fn run(program: &str, arguments: &[String]) -> Self {
        let mut command = Command::new("node");
        command.arg(installed().join(program)).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().must("start node; install Node 20 or newer");
        let (sender, notes) = mpsc::unbounded_channel();
        let out = BufReader::new(process.stdout.take().must("read what the client tells"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let note = serde_json::from_str(&line).must(format_args!("read what the client tells, {line}"));
                sender.send(note).ok();
            }
        });
        Self { commands: process.stdin.take(), process, notes, begun: Instant::now(), told: Vec::new() }
    }

    /// Watches a stream: `url`, and what else the programs know. In Chromium, from a page of the same origin unless
    /// another `page` is named.
    pub fn watch(library: Library, mut options: Value) -> Self {
        if library == Library::Chromium && options.get("page").is_none() {
            // Of all nodes, and of a relay to one.
            options["page"] = options["url"].as_str().must("watch without a URL").replace("/events", "/health").into();
        }
        let mut client = Self::start(library);
        client.command(&options);
        client
    }

    pub fn command(&mut self, command: &Value) {
        let commands = self.commands.as_mut().must("command a client that is ending");
        writeln!(commands, "{command}").must(format_args!("tell the client {command}"));
    }

    /// Whatever happens next, whenever it does.
    pub async fn note(&mut self) -> Note {
        self.notes.recv().await.must("go on, as the client has ended")
    }

    /// The next thing that happens.
    pub async fn next(&mut self) -> Note {
        let told = &self.told[self.told.len().saturating_sub(20)..];
        assert!(self.begun.elapsed() < 3 * PATIENCE, "the client tells other things than it should: {told:#?}");
        let Ok(note) = timeout(PATIENCE, self.notes.recv()).await else {
            panic!("the client tells nothing more; it told {:#?}", self.told);
        };
        let note = note.unwrap_or_else(|| panic!("the client has ended; it told {:#?}", self.told));
        self.told.push(note.clone());
        note
    }

    /// The next things that happen, up to one that `picks` takes; the others must be errors that are survived.
    async fn survives_until<T>(&mut self, picks: impl Fn(&Note) -> Option<T>) -> T {
        loop {
            let note = self.next().await;
            if let Some(picked) = picks(&note) {
                return picked;
            }
            let survived = matches!(note, Note::Open { .. } | Note::Error { ready_state: CONNECTING, .. });
            assert!(survived, "{note:?} was not expected; before, the client told {:#?}", self.told);
        }
    }

    /// Waits until it is connected.
    pub async fn opens(&mut self) {
        self.survives_until(|note| matches!(note, Note::Open { .. }).then_some(())).await;
    }

    /// The next event; it may have had to reconnect for it.
    pub async fn event(&mut self) -> (String, String) {
        let event = |note: &Note| match note {
            Note::Event { r#type, data, .. } => Some((r#type.clone(), data.clone())),
            _ => None,
        };
        self.survives_until(event).await
    }

    /// The data of the next message.
    pub async fn message(&mut self) -> String {
        let (r#type, data) = self.event().await;
        assert_eq!(r#type, "message", "{data}");
        data
    }

    /// Waits for an error, and returns the state after it.
    pub async fn error(&mut self) -> u8 {
        match self.next().await {
            Note::Error { ready_state, .. } => ready_state,
            note => panic!("{note:?} came where an error was next"),
        }
    }

    /// Nothing happens for as long as a reconnect would take.
    pub async fn stays_silent(&mut self, for_so_long: Duration) {
        let note = timeout(for_so_long, self.notes.recv()).await;
        assert!(note.is_err(), "{note:?} came");
    }

    /// What a page shows, once it is as wanted.
    pub async fn shows(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                if let Note::Text { text } = self.next().await
                    && let Ok(shown) = serde_json::from_str(&text)
                    && holds(&shown)
                {
                    return shown;
                }
            }
        };
        timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("the page does not show: {what}"))
    }
}

impl Drop for Client {
    /// In order, as a browser that is left alone would go on.
    fn drop(&mut self) {
        self.commands.take();
        let begun = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if begun.elapsed() > Duration::from_secs(10) {
                self.process.kill().ok();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The folder of the programs, with what their lock file names.
fn installed() -> &'static PathBuf {
    static CLIENTS: OnceLock<PathBuf> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let folder = repository().join("tests/clients");
        let changed = |file: &str| folder.join(file).metadata().and_then(|file| file.modified());
        // npm writes this one when it is done.
        let fresh = match (changed("node_modules/.package-lock.json"), changed("package-lock.json")) {
            (Ok(installed), Ok(wanted)) => installed >= wanted,
            _ => false,
        };
        if !fresh {
            let npm = Command::new("npm").arg("ci").current_dir(&folder).stdout(Stdio::null()).status();
            let done = npm.must("start npm; install Node 20 or newer").success();
            assert!(done, "npm ci has failed in {}", folder.display());
        }
        folder
    })
}
