//! What CloudEvents become, and what is said of those that are none.

use hyper::header::HeaderValue;
use serde_json::{Value, json};

use super::*;

const EVENT: &str =
    r#"{"specversion":"1.0","id":"1","source":"/shop","type":"order.placed","subject":"orders","data":{"n": 1.10}}"#;

fn headers(content_type: Option<&str>, more: &[(&'static str, &str)]) -> HeaderMap {
    let content_type = content_type.map(|value| ("content-type", value));
    let all = content_type.iter().chain(more);
    all.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

fn read(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<Publication, Refused> {
    Head::read(headers, query, 1000)?.events(body)
}

fn structured(body: &str) -> Result<Publication, Refused> {
    read(&headers(Some("application/cloudevents+json; charset=utf-8"), &[]), None, body.as_bytes())
}

fn binary(content_type: Option<&str>, more: &[(&'static str, &str)], body: &[u8]) -> Result<Publication, Refused> {
    let needed = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "order.placed")];
    read(&headers(content_type, &[&needed, more].concat()), None, body)
}

fn sentence(read: Result<Publication, Refused>) -> String {
    read.unwrap_err().to_string()
}

#[test]
fn a_structured_event_goes_on_as_it_is_on_one_line() {
    let publication = structured(&EVENT.replace(',', " ,\r\n\t")).unwrap();
    let new = NewEvent {
        topic: "orders".into(),
        event: Some("order.placed".into()),
        data: EVENT.replace(": ", ":"),
        ttl: None,
    };
    assert_eq!(publication.events, [new]);
    assert_eq!(publication.key, Some(Key::cloud_event("/shop", "1")));
    let odd = EVENT.replace("orders", r#"a \" \\"#);
    assert_eq!(structured(&odd).unwrap().events[0].data, odd.replace(": ", ":"));
}

#[test]
fn the_topic_is_that_of_the_query_or_the_subject() {
    let topic = |query, body: &str| {
        let headers = headers(Some("application/cloudevents+json"), &[]);
        read(&headers, query, body.as_bytes()).unwrap().events[0].topic.clone()
    };
    assert_eq!(topic(Some("topic=mine"), EVENT), "mine");
    assert_eq!(topic(None, EVENT), "orders");
    assert_eq!(topic(None, &EVENT.replace(r#","subject":"orders""#, "")), "default");
}

#[test]
fn a_batch_is_an_array_without_a_key() {
    let headers = headers(Some("application/cloudevents-batch+json"), &[]);
    let publication = read(&headers, None, format!("[{EVENT},\n{EVENT}]").as_bytes()).unwrap();
    assert_eq!((publication.events.len(), publication.key), (2, None));
    let bad = EVENT.replace("order.placed", "");
    let told = sentence(read(&headers, None, format!("[{EVENT},{bad}]").as_bytes()));
    assert_eq!(told, "event 2 of the array: type may not be empty");
}

#[test]
fn a_binary_event_becomes_structured() {
    let data = |content_type, body: &[u8]| -> Value {
        let publication = binary(content_type, &[("ce-subject", "caf%C3%A9 100%")], body).unwrap();
        assert_eq!(publication.key, Some(Key::cloud_event("/shop", "1")));
        assert_eq!(publication.events[0].topic, "café 100%");
        let mut event: Value = serde_json::from_str(&publication.events[0].data).unwrap();
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["datacontenttype"].as_str(), content_type);
        let object = event.as_object_mut().unwrap();
        for attribute in ["specversion", "id", "source", "type", "subject", "datacontenttype"] {
            object.remove(attribute);
        }
        event
    };
    assert_eq!(data(Some("application/json; charset=utf-8"), b" {\"n\":\n1}"), json!({"data": {"n": 1}}));
    assert_eq!(data(Some("application/geo+json"), b"[1]"), json!({"data": [1]}));
    assert_eq!(data(Some("text/plain"), "ä\n\"".as_bytes()), json!({"data": "ä\n\""}));
    assert_eq!(data(Some("text/plain; charset=latin1"), b"\xe4"), json!({"data_base64": "5A=="}));
    assert_eq!(data(Some("image/png"), b"\x89PNG"), json!({"data_base64": "iVBORw=="}));
    assert_eq!(data(None, b"x"), json!({"data_base64": "eA=="}));
    assert_eq!(data(None, b""), json!({}));
    let numbers = binary(Some("application/json"), &[], br#"{"n":1.10,"m":12345678901234567890123}"#).unwrap();
    assert!(numbers.events[0].data.contains(r#""data":{"n":1.10,"m":12345678901234567890123}"#));
}

#[test]
fn what_is_no_cloud_event_gets_a_sentence() {
    for name in ["specversion", "id", "source", "type"] {
        let mut event: Value = serde_json::from_str(EVENT).unwrap();
        event.as_object_mut().unwrap().remove(name);
        let told = sentence(structured(&event.to_string()));
        assert!(told.starts_with(&format!("event: {name} is missing")), "{told}");
    }
    let with = |more: &str| sentence(structured(&EVENT.replace("\"data\"", &format!("{more},\"data\""))));
    assert!(sentence(structured(&EVENT.replace("1.0\"", "0.3\""))).contains("specversion must be 1.0"));
    assert!(sentence(structured(&EVENT.replace("\"1\"", "1"))).contains("id must be a string"));
    assert!(sentence(structured(&EVENT.replace("order.placed", "a\\nb"))).contains("event may not hold CR, LF"));
    assert!(sentence(structured(&EVENT.replace("order.placed", "gap"))).contains("the fleet's own words"));
    assert!(sentence(structured("[]")).contains("a CloudEvent is a JSON object"));
    assert!(with(r#""time":"noon""#).contains("RFC 3339"));
    assert!(with(r#""Extension":"x""#).contains("lower-case letters and digits"));
    assert!(with(r#""extension":{}"#).contains("only data may be one"));
    assert!(with(r#""data_base64":"eA==""#).contains("exclude each other"));
    assert!(sentence(binary(Some("application/json"), &[], b"{")).contains("the body is not application/json"));
    assert!(sentence(binary(None, &[("ce-my_name", "x")], b"")).contains("my_name"));
    assert!(sentence(binary(None, &[("ce-id", "2")], b"")).contains("more than once"));
    assert!(sentence(read(&headers(None, &[("ce-id", "1")]), None, b"")).contains("specversion is missing"));
    let protobuf = headers(Some("application/cloudevents+protobuf"), &[]);
    assert!(sentence(read(&protobuf, None, b"")).contains("not as application/cloudevents+protobuf"));
}
