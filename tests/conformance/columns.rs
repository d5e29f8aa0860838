//! The four columns of `docs/conformance.md`: what the program `conformance` finds at a node, at a node behind nginx and
//! behind Traefik, and at Nchan. All differences are expected ones, with a reason, and the document is fresh.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use serde_json::json;

use crate::{
    expected::{COLUMNS, DIFFERENCES, Difference},
    processes::repository,
    runner::{Finding, run},
    servers::{nchan::Nchan, nginx::Nginx, node::Node, traefik::Traefik},
};

const ORIGIN: &str = "https://app.example.com";
/// Set, the test writes the document instead of comparing it.
const UPDATE: &str = "SSEFLEET_UPDATE_DOCS";

#[tokio::test]
async fn each_server_does_what_is_expected_of_it_and_the_document_says_so() {
    let spec = json!({
        "connections": {"heartbeatInterval": "1s"},
        "cors": {"allowedOrigins": [ORIGIN], "allowCredentials": true},
        "compression": {"mode": "Transport", "thresholdBytes": 100},
    });
    let node = Node::start(spec).await;
    let publish = format!("http://{}/publish", node.publish);
    let (nginx, traefik, nchan) =
        tokio::join!(Nginx::before(node.public), Traefik::before(node.public), Nchan::start());
    let of_nchan = ["events", "publish"].map(|path| format!("http://{}/{path}", nchan.address));
    let columns = [
        ask(&node.url(), &publish, &[]).await,
        ask(&nginx.url(), &publish, &[]).await,
        ask(&traefik.url(), &publish, &[]).await,
        ask(&of_nchan[0], &of_nchan[1], &["--publish-format", "body", "--id-parameter", "last_event_id"]).await,
    ];

    let mut unexpected = Vec::new();
    for (column, findings) in COLUMNS.iter().zip(&columns) {
        for finding in findings {
            let expected = difference(column, &finding.id).map_or("pass", |difference| difference.result);
            if finding.result != expected {
                unexpected.push(format!("{column}: {}: {} ({})", finding.id, finding.result, finding.detail));
            }
        }
    }
    assert!(unexpected.is_empty(), "not as expected.rs says:\n{}", unexpected.join("\n"));
    let asked: BTreeSet<_> = columns[0].iter().map(|finding| finding.id.as_str()).collect();
    for difference in DIFFERENCES {
        assert!(asked.contains(difference.check), "there is no check {}", difference.check);
    }

    let (file, fresh) = (repository().join("docs/conformance.md"), document(&columns));
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&file, fresh).unwrap();
    } else {
        let there = fs::read_to_string(&file).unwrap_or_default();
        assert!(there == fresh, "docs/conformance.md is not fresh; run this test with {UPDATE}=1, and read the diff");
    }
}

async fn ask(url: &str, publish: &str, more: &[&str]) -> Vec<Finding> {
    let arguments = ["--url", url, "--publish", publish, "--origin", ORIGIN, "--heartbeat", "5"];
    let run = run(arguments.iter().chain(more)).await;
    assert!(run.code <= 1, "{}", run.complaints);
    println!("{url}\n{}", run.printed);
    run.findings
}

fn difference(column: &str, check: &str) -> Option<&'static Difference> {
    DIFFERENCES.iter().find(|difference| difference.column == column && difference.check == check)
}

fn document(columns: &[Vec<Finding>; 4]) -> String {
    let mut text = String::from(INTRODUCTION);
    let _ = writeln!(text, "| what a client meets | {} |\n|---|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    let mut notes = String::new();
    let mut count = 0;
    for (row, finding) in columns[0].iter().enumerate() {
        let _ = write!(text, "| {} |", finding.check);
        for (column, findings) in COLUMNS.iter().zip(columns) {
            let finding = &findings[row];
            let _ = write!(text, " {}", finding.result);
            if let Some(difference) = difference(column, &finding.id) {
                count += 1;
                let _ = write!(text, " ({count})");
                let _ = writeln!(notes, "{count}. {}", difference.why);
            }
            text.push_str(" |");
        }
        text.push('\n');
    }
    format!("{text}\n{notes}{CLOSING}")
}

const INTRODUCTION: &str = "# What clients meet

Written by `tests/conformance`, which asks these questions of a node, of the same node behind nginx with
[the configuration we recommend](../examples/nginx.conf) and behind Traefik 3.7, and of Nchan 1.3, a module of nginx that
serves streams by itself; and fails when an answer changes.

";

const CLOSING: &str = "
## Libraries

The same tests have a browser's `EventSource` (Chromium) and the package `eventsource` 4.1 on Node meet named events, cuts,
the death of a node, `retry:`, tokens, pages of other origins, compression, and every refusal.

| what happens | Chromium and `eventsource` |
|---|---|
| a connection is cut, or the node dies | both come back when `retry:` says, with `Last-Event-ID`; nothing is lost or repeated |
| cut before the first event | Chromium knows where it was, by the id that a stream begins with; `eventsource` takes ids from events only and goes on with what comes then |
| the node is full, or one connects too often, `refuseWith: Auto` | survived: what was missed comes once there is room |
| the same, `refuseWith: Status` (503, 429) | not survived: `readyState` is `CLOSED`, for good |
| the node drains | the stream ends in order and the next one is another node's; who still asks the draining one (by HTTP/2, before the GOAWAY is there) survives under `Auto`, and not under `Status` |
| no token (401), a topic that is not granted (403) | not survived, and trying again would not help |

Both ask with `Accept: text/event-stream` and a `Sec-Fetch-Mode`, by which `Auto` knows them; by plain HTTP Chromium is known by
its `User-Agent`, as it says the other by HTTPS only, or to its own machine.

To see what a page of yours gets, open [examples/debugger.html](../examples/debugger.html).

## Ask your own

```sh
cargo run -p ssefleet-tests --bin conformance -- --url https://stream.example.com/events \\
  --publish http://publish.internal/publish --origin https://app.example.com
```

Any server of event streams can be asked; without `--publish`, what needs an event is not tested. `--help` has the rest.
";
