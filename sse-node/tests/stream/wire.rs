//! What goes over the socket, byte by byte, and the other protocols: HTTP/1.0, keep-alive, HTTP/2.

use std::{net::SocketAddr, sync::Arc};

use hyper::Request;
use serde_json::json;
use sse_node::broker::{Retention, memory::Memory};
use ssefleet_tests::sse::parser::Parser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Node, PATIENCE, stream};

async fn node() -> Node {
    let spec = json!({"fleet": {"replicas": 1}, "broker": {"memory": {}}});
    Node::start(stream(&spec), Arc::new(Memory::new(Retention::of_events(100)))).await
}

/// A socket on which something was said.
async fn say(address: SocketAddr, words: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(words.as_bytes()).await.unwrap();
    socket
}

/// Reads until the text holds something.
async fn hear(socket: &mut TcpStream, told: &mut String, until: &str) {
    let reading = async {
        let mut bytes = [0; 4096];
        while !told.contains(until) {
            let count = socket.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the connection is over: {told}");
            told.push_str(str::from_utf8(&bytes[..count]).unwrap());
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no {until:?} in {told}"));
}

#[tokio::test]
async fn each_event_is_one_chunk_and_a_stream_ends_in_order() {
    let mut node = node().await;
    let mut told = String::new();
    let mut socket = say(node.public, "GET /events HTTP/1.1\r\nHost: node\r\n\r\n").await;
    hear(&mut socket, &mut told, "\n\n\r\n").await;
    let (head, greeting) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"), "{head}");
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n") && head.contains(" GMT\r\n"), "{head}");
    assert!(greeting.contains("\r\nretry: "), "{greeting}");
    let id = node.publish(json!({"data": "hello"})).await.remove(0);
    told.clear();
    let frame = format!("id: {id}\ndata: hello\n\n");
    let chunk = format!("{:x}\r\n{frame}\r\n", frame.len());
    hear(&mut socket, &mut told, "hello\n\n\r\n").await;
    assert_eq!(told, chunk);
    node.stop(sse_node::Stop::Interrupted);
    hear(&mut socket, &mut told, "\r\n0\r\n\r\n").await;
    assert_eq!(timeout(PATIENCE, socket.read(&mut [0])).await.unwrap().unwrap(), 0, "the last bytes, then the end");
}

#[tokio::test]
async fn http_1_0_gets_a_body_that_ends_with_the_connection() {
    let node = node().await;
    let mut told = String::new();
    let mut socket = say(node.public, "GET /events HTTP/1.0\r\n\r\n").await;
    hear(&mut socket, &mut told, "\n\n").await;
    node.publish(json!({"data": "hello"})).await;
    hear(&mut socket, &mut told, "data: hello\n\n").await;
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(body.starts_with("retry: ") && !body.contains('\r'), "{body}");
}

#[tokio::test]
async fn a_connection_may_ask_for_other_things_first() {
    let node = node().await;
    let mut told = String::new();
    let mut socket = say(node.public, "GET /health HTTP/1.1\r\nHost: node\r\n\r\n").await;
    hear(&mut socket, &mut told, "\r\n\r\nok\n").await;
    socket.write_all(b"GET /nothing HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    hear(&mut socket, &mut told, "404 Not Found").await;
    hear(&mut socket, &mut told, "}\n").await;
    told.clear();
    socket.write_all(b"GET /events HTTP/1.1\r\nHost: node\r\n\r\n").await.unwrap();
    hear(&mut socket, &mut told, "retry: ").await;
    node.publish(json!({"data": "hello"})).await;
    hear(&mut socket, &mut told, "data: hello\n\n").await;
    // It takes part in everything: it is listed, and counted, and when it goes its place is free.
    assert_eq!(node.metric("ssefleet_node_connections").await, 1);
    drop(socket);
    while node.metric("ssefleet_node_connections").await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_head_that_comes_in_pieces_is_understood() {
    let node = node().await;
    let mut socket = TcpStream::connect(node.public).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in b"GET /events?topic=a HTTP/1.1\r\nHost: node\r\n\r\n" {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    hear(&mut socket, &mut String::new(), "retry: ").await;
}

#[tokio::test]
async fn nonsense_gets_an_answer_and_harms_nobody() {
    let node = node().await;
    let mut reader = node.subscribe("/events").await;
    for nonsense in ["\r\n\r\n\r\n\r\n", "GET\r\n\r\n", "\0\0\0\0\n\n", "GET /events HTTP/1.1\r\nbad header\r\n\r\n"] {
        let mut socket = say(node.public, nonsense).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{nonsense:?}: {answer}");
    }
    node.publish(json!({"data": "hello"})).await;
    assert_eq!(reader.data().await, ["hello"]);
}

#[tokio::test]
async fn http_2_by_prior_knowledge_carries_many_streams() {
    let node = node().await;
    let socket = TcpStream::connect(node.public).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut bodies = Vec::new();
    for _ in 0..20 {
        let request = Request::get("http://node/events").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = timeout(PATIENCE, response).await.unwrap().unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        assert!(!response.headers().contains_key("transfer-encoding"));
        bodies.push(response.into_body());
    }
    let ids = node.publish(json!([{"data": "one"}, {"data": "two"}])).await;
    for body in &mut bodies {
        let mut parser = Parser::new("");
        let mut events = Vec::new();
        while events.len() < 2 {
            let bytes = timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap();
            body.flow_control().release_capacity(bytes.len()).unwrap();
            events.extend(parser.feed(&bytes));
        }
        assert_eq!(events.iter().map(|event| event.id.clone()).collect::<Vec<_>>(), ids);
    }
    assert_eq!(node.metric("ssefleet_node_connections").await, 20);
    bodies.truncate(5);
    while node.metric("ssefleet_node_connections").await > 5 {
        tokio::task::yield_now().await;
    }
}
