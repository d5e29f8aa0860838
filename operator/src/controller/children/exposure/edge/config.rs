//! What the edge's nginx reads: row S10 of what ssefleet promises, and a retry stream in place of nginx' own 502, 503
//! and 504. `examples/nginx.conf` is the same for an nginx that is not ours.
//!
//! The nodes are reached by their Service's address, not by theirs: kube-proxy knows of a pod's coming and going before
//! any DNS answer runs out. The name is asked for again every 5 s all the same, as a Service that is made anew has
//! another address; nginx does so only for a name in a variable.

use std::fmt::Write;

use k8s_openapi::api::core::v1::ConfigMap;
use ssefleet_crds::{
    Stream,
    exposure::Edge,
    names::{self, Component},
    probe::NO_NODE,
};

use super::super::super::metadata;
use crate::controller::Wanted;

/// Keys of the ConfigMap, and names of files.
pub(super) const CONF: &str = "nginx.conf";
pub(super) const RUN: &str = "run.sh";

pub fn config(wanted: &Wanted, edge: &Edge) -> ConfigMap {
    let stream = &wanted.stream;
    let nodes = format!("{}.{}", names::node(&stream.name), stream.namespace);
    ConfigMap {
        metadata: metadata(wanted, names::edge(&stream.name), Component::Edge),
        data: Some(
            [(CONF.to_owned(), conf(stream, edge)), (RUN.to_owned(), include_str!("run.sh").replace("NODES", &nodes))]
                .into(),
        ),
        ..Default::default()
    }
}

fn conf(stream: &Stream, edge: &Edge) -> String {
    let tls = if edge.tls.is_some() { TLS } else { "" };
    let exact = if stream.path.ends_with('/') { "" } else { "= " };
    let cors = if stream.cors.is_some() { CORS } else { "" };
    CONFIGURATION
        .replace("{retry}", &retry(stream))
        .replace("{origins}", &origins(stream))
        .replace("{tls}", tls)
        .replace("{path}", &format!("{exact}{}", stream.path))
        .replace("{cors}", cors)
        .replace("{no node}", NO_NODE)
}

/// Ten times around `connections.retry`, ±50 %, of which chance takes one for each request.
fn retry(stream: &Stream) -> String {
    let retry = stream.connections.retry.as_millis();
    (0..10).fold(String::new(), |mut text, tenth| {
        let share = if tenth < 9 { "10%" } else { "*" };
        let _ = writeln!(text, "    {share} {};", retry * (55 + 10 * tenth) / 100);
        text
    })
}

/// Which origins may read the retry stream: those that may read the nodes' answers. Any other is named by nothing.
fn origins(stream: &Stream) -> String {
    let Some(cors) = &stream.cors else { return String::new() };
    let mut text = String::from("  map $http_origin $origin {\n    default \"\";\n");
    for allowed in &cors.allowed_origins {
        let _ = match allowed.split_once("*.") {
            _ if allowed == "*" => writeln!(text, "    ~. \"*\";"),
            Some((scheme, domain)) => {
                writeln!(text, "    \"~^{scheme}[a-z0-9.-]+\\.{}$\" $http_origin;", domain.replace('.', "\\."))
            }
            None => writeln!(text, "    \"{allowed}\" $http_origin;"),
        };
    }
    text.push_str("  }\n");
    if cors.allow_credentials {
        text.push_str("  map $origin $credentials {\n    default true;\n    \"\" \"\";\n  }\n");
    } else {
        text.push_str("  map $origin $credentials {\n    default \"\";\n  }\n");
    }
    text
}

/// A header field without a value is not sent.
const CORS: &str = "
      add_header Vary origin always;
      add_header Access-Control-Allow-Origin $origin always;
      add_header Access-Control-Allow-Credentials $credentials always;";

const TLS: &str = "
    listen 8443 ssl http2 so_keepalive=on;
    ssl_certificate /etc/ssefleet/tls/tls.crt;
    ssl_certificate_key /etc/ssefleet/tls/tls.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1h;";

const CONFIGURATION: &str = r#"# Written by sse-operator; changes here are undone.
daemon off;
worker_processes 2;
pid /tmp/nginx.pid;
error_log stderr warn;
events { worker_connections 20000; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  split_clients $request_id $retry {
{retry}  }
{origins}  # Who came by TLS to a proxy before this one did come by TLS.
  map $http_x_forwarded_proto $proto {
    default $scheme;
    https https;
  }
  server {
    listen 8080 so_keepalive=on;{tls}
    include /tmp/resolver.conf;
    location {path} {
      include /tmp/nodes.conf;
      proxy_pass $nodes;
      # Connections to the nodes are HTTP/1.1, whose streams are chunked; `Connection: close` is nginx' own.
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      # An event is passed on as it comes, and kept nowhere.
      proxy_buffering off;
      proxy_cache off;
      gzip off;
      # A stream is not over because it is silent.
      proxy_read_timeout 24h;
      proxy_send_timeout 24h;
      send_timeout 24h;
      proxy_connect_timeout 3s;
      proxy_socket_keepalive on;
      # Who asks.
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $proto;
      # A status ends a browser's EventSource for good. What the nodes themselves answer passes as it is.
      error_page 502 503 504 = @retry;
    }
    location @retry {
      default_type text/event-stream;
      add_header Cache-Control no-store always;{cors}
      return 200 "retry: $retry\n: {no node}\n\n";
    }
    location / {
      return 404;
    }
  }
  server {
    listen 8090;
    location = /healthz {
      default_type text/plain;
      return 200 "ok\n";
    }
  }
}
"#;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        process::{Command, Stdio},
        time::{Duration, Instant},
    };

    use super::{CONF, ConfigMap, config};
    use crate::controller::{children::golden, fixtures};

    fn built(spec: &str) -> ConfigMap {
        let wanted = fixtures::wanted(fixtures::yaml(spec));
        config(&wanted, wanted.stream.exposure.edge.as_ref().unwrap())
    }

    #[test]
    fn plain() {
        insta::assert_snapshot!(golden(&built("exposure: {edge: {}}")));
    }

    #[test]
    fn with_tls_and_cors_for_a_path_and_all_below() {
        let data = built(
            "path: /streams/\ncors: {allowedOrigins: [https://app.example.com, 'https://*.example.org'], allowCredentials: true}\nexposure: {edge: {host: events.example.com, tls: {secretName: cert}}}",
        )
        .data
        .unwrap();
        insta::assert_snapshot!(data[CONF]);
    }

    /// In a real nginx, with files and ports that are free here, and nobody behind it.
    #[test]
    fn nginx_takes_it_and_answers_a_retry_stream_when_no_node_does() {
        let ask = |port: u16, fields: &str| {
            let mut socket = TcpStream::connect(("127.0.0.1", port))?;
            write!(socket, "GET /events HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n{fields}\r\n")?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer).map(|_| answer)
        };
        let folder = std::env::temp_dir().join(format!("ssefleet-edge-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let [plain, health] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let conf = built("cors: {allowedOrigins: ['https://*.example.org']}\nexposure: {edge: {}}").data.unwrap()[CONF]
            .replace("/tmp/", &format!("{}/", folder.display()))
            .replace("8080", &format!("127.0.0.1:{plain}"))
            .replace("8090", &format!("127.0.0.1:{health}"));
        std::fs::write(folder.join("nginx.conf"), conf).unwrap();
        std::fs::write(folder.join("resolver.conf"), "resolver 127.0.0.1 valid=5s;").unwrap();
        std::fs::write(folder.join("nodes.conf"), "set $nodes http://127.0.0.1:1;").unwrap();
        let mut command = Command::new("nginx");
        // One process: workers would outlive a master that is killed.
        command.args(["-e", "stderr", "-g", "master_process off;", "-c"]);
        command.arg(folder.join("nginx.conf")).stderr(Stdio::null());
        let mut nginx = command.spawn().unwrap();
        let begun = Instant::now();
        while ask(health, "").is_err() && begun.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let answers = ["https://a.example.org", "https://evil.example.net"]
            .map(|origin| ask(plain, &format!("Origin: {origin}\r\n")).unwrap_or_default());
        nginx.kill().unwrap();
        nginx.wait().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        for answer in &answers {
            assert!(
                answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nContent-Type: text/event-stream\r\n"),
                "{answer}"
            );
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let retry: u64 = body.strip_prefix("retry: ").unwrap().split_once('\n').unwrap().0.parse().unwrap();
            assert!((1500..=4500).contains(&retry) && body.ends_with("\n\n"), "{body:?}");
        }
        assert!(answers[0].contains("Access-Control-Allow-Origin: https://a.example.org\r\n"), "{}", answers[0]);
        assert!(!answers[1].contains("Access-Control-Allow-Origin"), "{}", answers[1]);
    }
}
