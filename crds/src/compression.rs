//! `spec.compression`: how events are made smaller.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How events are made smaller.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// How. Default Off.
    #[serde(default)]
    pub mode: CompressionMode,

    /// Events whose data has at most so many bytes are not compressed. Default 1024.
    #[serde(default = "default_threshold")]
    #[schemars(range(min = 0, max = 16_777_216))]
    pub threshold_bytes: u32,
}

/// How events are made smaller.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionMode {
    /// Not at all.
    #[default]
    Off,
    /// The data of each event is a JSON object: `{"compressed":true,"data":"BASE64 OF GZIP"}`, or
    /// `{"compressed":false,"data":"AS IT IS"}`. For clients that unpack it themselves, behind any proxy.
    Envelope,
    /// `Content-Encoding: gzip` for clients that accept it, which browsers unpack by themselves. Each event is
    /// compressed once, by itself, and sent at once.
    Transport,
}

fn default_threshold() -> u32 {
    1024
}

impl Default for Compression {
    fn default() -> Self {
        Self { mode: CompressionMode::default(), threshold_bytes: default_threshold() }
    }
}
