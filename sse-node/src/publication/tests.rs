//! Every form of publication, good and bad.

use hyper::header::HeaderValue;
use proptest::prelude::*;

use super::*;

const JSON: Option<&str> = Some("application/json");
const LINES: Option<&str> = Some("application/x-ndjson");

fn new(topic: &str, event: Option<&str>, data: &str) -> NewEvent {
    NewEvent { topic: topic.into(), event: event.map(Into::into), data: data.into(), ttl: None }
}

fn headers(content_type: Option<&str>, more: &[(&'static str, &str)]) -> HeaderMap {
    let content_type = content_type.map(|value| ("content-type", value));
    let all = content_type.iter().chain(more);
    all.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

fn read(content_type: Option<&str>, query: Option<&str>, body: &[u8], max: usize) -> Result<Vec<NewEvent>, Refused> {
    Ok(Head::read(&headers(content_type, &[]), query, max)?.events(body)?.events)
}

fn told(content_type: Option<&str>, query: Option<&str>, body: &[u8]) -> String {
    read(content_type, query, body, 10).unwrap_err().to_string()
}

#[test]
fn every_form_is_read() {
    let read = |content_type, query, body: &str| read(content_type, query, body.as_bytes(), 1000).unwrap();
    assert_eq!(read(JSON, None, r#"{"data":"hi"}"#), [new("default", None, "hi")]);
    assert_eq!(
        read(JSON, None, r#"{"topic":"a","event":"e","data":{"x":[1]}}"#),
        [new("a", Some("e"), r#"{"x":[1]}"#)]
    );
    assert_eq!(
        read(JSON, None, r#"{"data":{"b": 1.10, "a":12345678901234567890123}}"#),
        [new("default", None, r#"{"b": 1.10, "a":12345678901234567890123}"#)]
    );
    assert_eq!(read(JSON, None, r#"{"data":null}"#), [new("default", None, "null")]);
    assert_eq!(
        read(JSON, None, r#" [{"data":"1"},{"data":2}]"#),
        [new("default", None, "1"), new("default", None, "2")]
    );
    assert_eq!(
        read(LINES, None, "{\"data\":1}\n\n{\"data\":2}\r\n"),
        [new("default", None, "1"), new("default", None, "2")]
    );
    assert_eq!(
        read(Some("text/plain; charset=utf-8"), Some("topic=a%20b&event=e"), "x\ny"),
        [new("a b", Some("e"), "x\ny")]
    );
    assert_eq!(read(Some("text/plain"), None, r#"{"data":1}"#), [new("default", None, r#"{"data":1}"#)]);
    assert_eq!(read(Some("application/x-www-form-urlencoded"), None, r#"{"data":1}"#), [new("default", None, "1")]);
    assert_eq!(
        read(Some("application/x-www-form-urlencoded"), Some("topic=a"), r#"{"x":1}"#),
        [new("a", None, r#"{"x":1}"#)]
    );
    assert_eq!(read(None, None, ""), [new("default", None, "")]);
}

#[test]
fn bad_input_gets_a_sentence() {
    assert!(told(JSON, None, b"{\"data\":1").contains("event: EOF"));
    assert!(told(JSON, None, b"\"hi\"").contains("an object such as"));
    assert!(told(JSON, None, br#"{"data":1,"id":"x"}"#).contains("unknown field `id`"));
    assert!(told(JSON, None, br#"[{"data":1},{"dat":1}]"#).contains("event 2 of the array: unknown field `dat`"));
    assert!(told(LINES, None, b"{\"data\":1}\n\noops").contains("line 3: "));
    assert_eq!(told(JSON, None, b" "), Refused::Nothing.to_string());
    assert_eq!(told(JSON, None, b"[]"), Refused::Nothing.to_string());
    assert_eq!(told(LINES, None, b"\n"), Refused::Nothing.to_string());
    assert_eq!(told(None, None, b"\xff"), Refused::NotUtf8.to_string());
    assert!(told(None, None, b"12345678901").contains("more than history.maxEventBytes, 10"));
    assert!(told(None, None, b"a\0b").contains("NUL"));
    assert!(told(None, Some("event=a%0Aid:1"), b"x").contains("event may not hold CR, LF"));
    assert!(told(None, Some("event=gap"), b"x").contains("the fleet's own words"));
    assert!(told(None, Some("topic=a*"), b"x").contains("topic may not hold"));
    assert!(told(None, Some("topic=a%0D"), b"x").contains("topic may not hold"));
    assert!(told(None, Some("topic="), b"x").contains("from 1 to 256 bytes"));
}

#[test]
fn an_event_may_say_how_long_it_is_worth_sending() {
    let ttl = |content_type, query, body: &str| read(content_type, query, body.as_bytes(), 1000).unwrap()[0].ttl;
    assert_eq!(ttl(JSON, None, r#"{"data":1,"ttl":"30s"}"#), Some(Duration::from_secs(30)));
    assert_eq!(ttl(LINES, None, r#"{"data":1,"ttl":"1m30s"}"#), Some(Duration::from_secs(90)));
    assert_eq!(ttl(Some("text/plain"), Some("ttl=500ms"), "x"), Some(Duration::from_millis(500)));
    assert_eq!(ttl(JSON, None, r#"{"data":1}"#), None);
    let sentence = "ttl must be a Go duration of at least 1ms";
    for bad in ["", "30", "-1s", "0s", "1us", "soon"] {
        let body = format!(r#"{{"data":1,"ttl":"{bad}"}}"#);
        assert!(told(JSON, None, body.as_bytes()).starts_with(&format!("event: {sentence}")), "{bad}");
        assert!(told(None, Some(&format!("ttl={bad}")), b"x").contains(sentence), "{bad}");
    }
    assert!(told(LINES, None, b"{\"data\":1}\n{\"data\":1,\"ttl\":\"x\"}").starts_with("line 2: ttl"));
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof![Just(JSON), Just(LINES), Just(None)],
    ) {
        let _ = read(kind, Some("topic=a"), &body, 100);
    }
}
