//! Reading a body: not for ever, and not more of all bodies together than there is memory for.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::answer::Refusal;

/// The most bytes of bodies that are collected at the same time.
pub const MEMORY: usize = 256 << 20;
/// What memory is counted in, in bytes.
const UNIT: usize = 4096;

/// Reads bodies.
pub struct Intake {
    /// Units of memory that are free.
    memory: Arc<Semaphore>,
    pub patience: Patience,
}

/// How long a body is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For any body that is collected, as Apache has it (mod_reqtimeout: body=20,MinRate=500) ...
    pub body: Duration,
    /// ... and longer for each byte that has come: bytes a second. 8 MiB have eight minutes.
    pub rate: u32,
    /// Between the ends of two lines of NDJSON that is stored as it comes.
    pub line: Duration,
    /// From here on no body is waited for.
    pub finish: CancellationToken,
}

impl Patience {
    pub fn until(finish: CancellationToken) -> Self {
        Self { body: Duration::from_secs(20), rate: 16 << 10, line: Duration::from_mins(5), finish }
    }
}

/// A whole body, and the memory it takes.
pub struct Collected {
    pub bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Intake {
    pub fn new(patience: Patience, memory: usize) -> Self {
        Self { memory: Arc::new(Semaphore::new(memory / UNIT)), patience }
    }

    /// The whole body, of no more than `limit` bytes.
    pub async fn collect(&self, mut body: Incoming, limit: usize) -> Result<Collected, Refusal> {
        if body.size_hint().lower() > limit as u64 {
            return Err(Refusal::body_too_large(limit));
        }
        let Patience { body: patience, rate, finish, .. } = &self.patience;
        let begun = Instant::now();
        let (mut bytes, mut memory) = (BytesMut::new(), None::<OwnedSemaphorePermit>);
        loop {
            let came = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let until = begun + *patience + Duration::from_secs(1) * came / *rate;
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = finish.cancelled() => return Err(Refusal::draining()),
                () = sleep_until(until) => return Err(Refusal::too_slow((until - begun).as_secs())),
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| Refusal::broken_off(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(Refusal::body_too_large(limit));
            }
            let units = (bytes.len() + data.len()).div_ceil(UNIT) - bytes.len().div_ceil(UNIT);
            let more = self.memory.clone().try_acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX));
            let more = more.map_err(|_| Refusal::no_memory())?;
            match &mut memory {
                Some(memory) => memory.merge(more),
                None => memory = Some(more),
            }
            bytes.extend_from_slice(data);
        }
        Ok(Collected { bytes: bytes.freeze(), _memory: memory })
    }
}
