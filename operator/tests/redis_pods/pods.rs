//! Pods as the kubelet would run them: three processes each, with a folder for what they share in memory and one for the
//! volume.

use std::{
    cell::Cell,
    fs,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use crate::client::Client;
use clap::Parser;
use serde_json::Value;
use sse_operator::{Settings, render};
use tempfile::TempDir;

pub const LOG: &str = "ssefleet:market/quotes";
pub const PASSWORD: &str = "first";
/// Seconds of the keeper's that a test can wait for: until a new password is shown, and until the previous one is bad.
const SHOW: &str = "2";
const FORGET: &str = "8";
const WAIT_FOR_ALL: &str = "6";
/// How long a Redis stays away for others to become the primary.
const STAYS_AWAY: &str = "20";
/// And how often it looks.
const EVERY: &str = "0.5";
const NAMED: &str = "SENTINEL get-master-addr-by-name ssefleet";
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// The pods of one stream.
pub struct Pods {
    dir: TempDir,
    /// 127.x.y, of this test alone.
    network: String,
    /// Whether there are Sentinels.
    replicated: bool,
    running: Vec<Pod>,
    /// When a previous password is bad.
    pub forget: &'static str,
    password: Cell<&'static str>,
}

#[derive(Default)]
struct Pod {
    redis: Option<Child>,
    sentinel: Option<Child>,
    keeper: Option<Child>,
}

impl Pods {
    /// The pods of a stream with such a managed Redis, not started yet.
    pub fn of(managed: &str) -> Self {
        let manifest = format!(
            "{{apiVersion: ssefleet.dev/v1alpha1, kind: SseStream, metadata: {{name: quotes, namespace: market}}, spec: {{broker: {{redis: {{managed: {managed}}}}}}}}}"
        );
        let rendered = render::children(&manifest, &Arguments::parse_from(["test"]).settings, &[]).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&rendered).unwrap();
        let child = |kind: &str| {
            let named = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == "quotes-redis";
            documents.iter().find(named).unwrap()
        };
        let count = usize::try_from(child("StatefulSet")["spec"]["replicas"].as_u64().unwrap()).unwrap();
        let dir = TempDir::new().unwrap();
        let network = format!("127.{}.{}", fastrand::u8(1..=250), fastrand::u8(1..=250));
        for pod in 0..count {
            let dir = dir.path().join(pod.to_string());
            for folder in ["files/auth", "run", "data"] {
                fs::create_dir_all(dir.join(folder)).unwrap();
            }
            fs::write(dir.join("files/auth/password"), PASSWORD).unwrap();
            for (name, text) in child("ConfigMap")["data"].as_object().unwrap() {
                let mut text = text.as_str().unwrap().to_owned();
                if ["redis.conf", "sentinel.conf"].contains(&name.as_str()) {
                    text = text.replace("dir /data", &format!("dir {}", dir.join("data").display()));
                    text = format!("{text}bind {network}.{}\n", pod + 1);
                }
                fs::write(dir.join("files").join(name), text).unwrap();
            }
        }
        let replicated = count > 1;
        let running = (0..count).map(|_| Pod::default()).collect();
        Self { dir, network, replicated, running, forget: FORGET, password: Cell::new(PASSWORD) }
    }

    pub fn started(managed: &str) -> Self {
        let mut pods = Self::of(managed);
        (0..pods.running.len()).for_each(|pod| pods.start(pod));
        pods.settled();
        pods
    }

    pub fn address(&self, pod: usize) -> String {
        format!("{}.{}", self.network, pod + 1)
    }

    fn path(&self, pod: usize, file: &str) -> PathBuf {
        self.dir.path().join(pod.to_string()).join(file)
    }

    pub fn script(&self, pod: usize, name: &str) -> Command {
        let peers: Vec<String> = (0..self.running.len()).map(|pod| self.address(pod)).collect();
        let mut command = Command::new("sh");
        let log = fs::File::options().create(true).append(true).open(self.path(pod, "log")).unwrap();
        command.arg(self.path(pod, &format!("files/{name}"))).stdout(log.try_clone().unwrap()).stderr(log);
        command.env("FILES", self.path(pod, "files")).env("RUN", self.path(pod, "run"));
        command.env("HERE", self.address(pod)).env("LOG", LOG);
        command
            .env("PATIENCE", STAYS_AWAY)
            .env("EVERY", EVERY)
            .env("SHOW", SHOW)
            .env("FORGET", self.forget)
            .env("WAIT_FOR_ALL", WAIT_FOR_ALL);
        if self.replicated {
            command.env("HOST", self.address(pod)).env("PEERS", peers.join(" "));
        }
        command
    }

    pub fn start(&mut self, pod: usize) {
        self.start_redis(pod);
        let sentinel = self.replicated.then(|| self.script(pod, "sentinel.sh").spawn().unwrap());
        let keeper = self.script(pod, "keeper.sh").spawn().unwrap();
        (self.running[pod].sentinel, self.running[pod].keeper) = (sentinel, Some(keeper));
    }

    pub fn start_redis(&mut self, pod: usize) {
        self.running[pod].redis = Some(self.script(pod, "start.sh").spawn().unwrap());
    }

    /// Ends the server alone, as when it runs out of memory.
    pub fn kill_redis(&mut self, pod: usize) {
        end(self.running[pod].redis.take());
    }

    /// Ends a pod as a failed host does; what it had in memory is gone.
    pub fn kill(&mut self, pod: usize) {
        let Pod { redis, sentinel, keeper } = std::mem::take(&mut self.running[pod]);
        [redis, sentinel, keeper].into_iter().for_each(end);
        fs::remove_dir_all(self.path(pod, "run")).unwrap();
        fs::create_dir(self.path(pod, "run")).unwrap();
    }

    /// As if its volume were a new one.
    pub fn empty(&self, pod: usize) {
        fs::remove_dir_all(self.path(pod, "data")).unwrap();
        fs::create_dir(self.path(pod, "data")).unwrap();
    }

    /// The kubelet brings another password to one pod.
    pub fn bring_password(&self, pod: usize, password: &'static str) {
        fs::write(self.path(pod, "files/auth/password"), password).unwrap();
        self.password.set(password);
    }

    pub fn client(&self, pod: usize) -> Option<Client> {
        let address = self.address(pod);
        [self.password.get(), PASSWORD].into_iter().find_map(|word| Client::connect(&address, 6379, word))
    }

    /// What Redis or the Sentinel says to who shows a password.
    pub fn say(&self, pod: usize, port: u16, password: &str, command: &str) -> Option<String> {
        Client::connect(&self.address(pod), port, password)?.ask(command)
    }

    /// The same, by the newest password; nothing if there is no answer.
    pub fn answer(&self, pod: usize, port: u16, command: &str) -> String {
        self.say(pod, port, self.password.get(), command).unwrap_or_default()
    }

    fn replication(&self, pod: usize) -> String {
        self.answer(pod, 6379, "INFO replication")
    }

    /// The one primary that most Sentinels name and that says so itself, or the single Redis.
    pub fn primary(&self) -> Option<usize> {
        if !self.replicated {
            return self.client(0).map(|_| 0);
        }
        let named: Vec<Option<String>> =
            (0..self.running.len()).map(|pod| self.say(pod, 26379, self.password.get(), NAMED)).collect();
        let is_named = |pod: &usize| {
            let word = format!("{} 6379", self.address(*pod));
            named.iter().filter(|named| named.as_ref() == Some(&word)).count() > self.running.len() / 2
        };
        (0..self.running.len()).filter(is_named).find(|pod| self.replication(*pod).contains("role:master"))
    }

    /// Waits until there is a primary that all others are in step with; which one it is.
    pub fn settled(&self) -> usize {
        let others = self.running.iter().filter(|pod| pod.redis.is_some()).count() - 1;
        self.settled_with(others)
    }

    pub fn settled_with(&self, others: usize) -> usize {
        let mut primary = None;
        self.until("there is a primary with its replicas", || {
            primary = self.primary();
            let synced = |pod: &usize| {
                let told = self.replication(*pod);
                told.contains("master_link_status:up") && told.contains("slave_priority:100")
            };
            primary.is_some() && (0..self.running.len()).filter(synced).count() == others
        });
        primary.unwrap()
    }

    pub fn until(&self, what: &str, mut met: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !met() {
            assert!(begun.elapsed() <= PATIENCE, "waited in vain until {what}; of the pods:\n{}", self.told());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the pods have to say for themselves.
    pub fn told(&self) -> String {
        let told = (0..self.running.len()).map(|pod| {
            let said = fs::read_to_string(self.path(pod, "log")).unwrap();
            let named = self.say(pod, 26379, self.password.get(), NAMED);
            format!("{said}{}Sentinel names {named:?}", self.replication(pod))
        });
        told.collect::<Vec<_>>().join("\n--\n")
    }

    /// The numbers of the events that the log has, by what a pod says.
    pub fn log(&self, pod: usize) -> Vec<u32> {
        let text = self.answer(pod, 6379, &format!("XRANGE {LOG} - +"));
        text.split_whitespace().collect::<Vec<_>>().chunks(3).map(|entry| entry[2].parse().unwrap()).collect()
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        for Pod { redis, sentinel, keeper } in self.running.drain(..) {
            [keeper, sentinel, redis].into_iter().for_each(end);
        }
    }
}

fn end(process: Option<Child>) {
    if let Some(mut process) = process {
        process.kill().ok();
        process.wait().ok();
    }
}
