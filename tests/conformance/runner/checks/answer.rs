//! The head of the answer.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{Otherwise, Outcome, Probe, fail};
use crate::{subscription::is_event_stream, target::Trouble};

/// A page waits for `onopen`; a proxy that waits for the first kilobytes keeps it from that.
const AT_ONCE: Duration = Duration::from_secs(1);

pub async fn status(probe: &Probe) -> Outcome {
    let begun = Instant::now();
    let subscription = probe.open(&[]).await?;
    let took = begun.elapsed();
    if took > AT_ONCE {
        return fail(format!("the head took {took:?}"));
    }
    let kind = subscription.head.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    Ok(format!("200, {kind}, after {} ms", took.as_millis()))
}

pub async fn caches(probe: &Probe) -> Outcome {
    let head = probe.open(&[]).await?.head;
    let said = head.headers.get("cache-control").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !["no-cache", "no-store"].iter().any(|word| said.contains(word)) {
        return fail(format!("Cache-Control is {said:?}, without no-cache or no-store"));
    }
    // A word to proxies, which one of them may take away again: seen, not demanded.
    let buffering = head.headers.get("x-accel-buffering").and_then(|value| value.to_str().ok());
    Ok(format!("Cache-Control: {said}; X-Accel-Buffering: {}", buffering.unwrap_or("none")))
}

/// HTTP/1.0 has no chunks (RFC 9112, 7.1): the size lines would be read as part of the stream.
pub async fn http10(probe: &Probe) -> Outcome {
    let mut socket = probe.target.connect().await?;
    let mut request = format!("GET {} HTTP/1.0\r\nAccept: text/event-stream\r\n", probe.target.path_with(None));
    for (name, value) in probe.target.fields() {
        request.extend([name, ": ", &value, "\r\n"]);
    }
    request.push_str("\r\n");
    socket.write_all(request.as_bytes()).await.map_err(Trouble::Connect)?;
    let mut read = Vec::new();
    let mut until = async |what: &str, wanted: &str| {
        let reading = async {
            while !contains(&read, wanted) {
                let mut piece = [0; 4096];
                let length = socket.read(&mut piece).await.map_err(|error| error.to_string())?;
                if length == 0 {
                    return Err("the connection ended".into());
                }
                read.extend_from_slice(&piece[..length]);
            }
            Ok(())
        };
        let in_time = timeout(Duration::from_secs(3), reading).await;
        in_time.unwrap_or(Err("nothing came in 3 s".to_owned())).map_err(|why| format!("{why}, waiting for {what}"))
    };
    until("the head", "\r\n\r\n").await?;
    if probe.publisher.is_some() {
        let [data] = probe.publish(["http10"]).await?;
        until("an event", &format!("data: {data}\n")).await?;
    }
    check_http10(&String::from_utf8_lossy(&read))?;
    Ok("not chunked".into())
}

fn contains(bytes: &[u8], wanted: &str) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

fn check_http10(answer: &str) -> Result<(), Otherwise> {
    let (head, _) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    };
    if head.split(' ').nth(1) != Some("200") || !is_event_stream(field("content-type")) {
        return fail(format!("the answer is {}", head.lines().next().unwrap_or_default()));
    }
    if field("transfer-encoding").contains("chunked") {
        return fail("chunked, which HTTP/1.0 does not know");
    }
    Ok(())
}
