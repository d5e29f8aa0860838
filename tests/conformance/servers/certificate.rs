//! What TLS needs, made for one test.

use std::process::Command;

use tempfile::TempDir;

/// A certificate for `localhost`, and its key.
pub struct Certificate(TempDir);

impl Certificate {
    pub fn make() -> Self {
        let folder = TempDir::with_prefix("ssefleet-certificate-").unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(' '),
        );
        openssl.args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "key",
            "-out",
            "certificate",
        ]);
        let output = openssl.current_dir(folder.path()).output().expect("start openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self(folder)
    }

    pub fn arguments(&self) -> Vec<String> {
        vec!["--tls-certificate".into(), self.file("certificate"), "--tls-key".into(), self.file("key")]
    }

    pub fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}
