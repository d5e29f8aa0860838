//! What becomes of events and broadcasts by `spec.compression`.

use std::{borrow::Cow, sync::Arc};

use ssefleet_crds::compression::{Compression, CompressionMode};

use super::{envelope::envelope, event, frame::Frame, gzip::Compressor};
use crate::{event::Event, metrics::Metrics};

/// Makes frames of what was published.
#[derive(Clone, Debug)]
pub struct Encoder {
    mode: CompressionMode,
    /// Data of at most so many bytes is not compressed.
    threshold: usize,
    compressor: Arc<Compressor>,
}

impl Encoder {
    pub fn new(compression: &Compression, metrics: &Metrics) -> Self {
        let mode = compression.mode;
        let threshold = usize::try_from(compression.threshold_bytes).unwrap_or(usize::MAX);
        Self { mode, threshold, compressor: Arc::new(metrics.compressor(mode)) }
    }

    pub fn event(&self, event: &Event) -> Frame {
        let data = &event.new.data;
        self.frame(&event::event(event, &self.data(data)), data.len())
    }

    /// A message for every connection, kept nowhere. NUL, which no parser treats alike, arrives as U+FFFD.
    pub fn broadcast(&self, payload: &str) -> Frame {
        let data = payload.replace('\0', "\u{fffd}");
        self.frame(&event::broadcast(&self.data(&data)), data.len())
    }

    /// Whether a subscriber could tell events of one from those of the other.
    pub fn differs(&self, other: &Self) -> bool {
        let enveloped = |encoder: &Self| (encoder.mode == CompressionMode::Envelope).then_some(encoder.threshold);
        enveloped(self) != enveloped(other)
    }

    fn data<'a>(&self, data: &'a str) -> Cow<'a, str> {
        match self.mode {
            CompressionMode::Envelope => envelope(data, self.threshold, &self.compressor).into(),
            CompressionMode::Off | CompressionMode::Transport => data.into(),
        }
    }

    fn frame(&self, text: &str, size: usize) -> Frame {
        let worth_it = self.mode == CompressionMode::Transport && size > self.threshold;
        Frame::new(text, worth_it.then(|| self.compressor.clone()))
    }
}
