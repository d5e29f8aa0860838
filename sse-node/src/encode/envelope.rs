//! Data that says whether it is compressed, for clients that unpack it themselves: `examples/envelope.mjs` does.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::gzip::Compressor;

/// `{"compressed":true,"data":"BASE64 OF GZIP"}` if the data has more bytes than the threshold, else
/// `{"compressed":false,"data":"AS IT IS"}`.
pub fn envelope(data: &str, threshold: usize, compressor: &Compressor) -> String {
    if data.len() <= threshold {
        return format!(r#"{{"compressed":false,"data":{}}}"#, serde_json::Value::from(data));
    }
    let mut envelope = String::with_capacity(data.len() / 2);
    envelope.push_str(r#"{"compressed":true,"data":""#);
    STANDARD.encode_string(compressor.gzip(data.as_bytes()), &mut envelope);
    envelope.push_str("\"}");
    envelope
}
