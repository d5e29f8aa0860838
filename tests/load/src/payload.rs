//! What publishers write and subscribers read: a number that counts up by one within its topic, and the time.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the clock that all processes of this machine share.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The data of event `n`, `size` bytes if that is enough for its numbers.
pub fn encode(n: u64, at: u64, size: usize) -> String {
    let mut data = format!("{{\"n\":{n},\"at\":{at}");
    let frame = ",\"pad\":\"\"}".len();
    if data.len() + frame <= size {
        data.push_str(",\"pad\":\"");
        data.extend(std::iter::repeat_n('.', size - data.len() - 2));
        data.push('"');
    }
    data.push('}');
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_size_that_was_asked_for_and_is_json() {
        for size in [64, 100, 4096] {
            let data = encode(12_345, now(), size);
            assert_eq!(data.len(), size);
            let value: serde_json::Value = serde_json::from_str(&data).expect("JSON");
            assert_eq!(value["n"], 12_345);
        }
        assert_eq!(encode(1, 2, 10), "{\"n\":1,\"at\":2}");
    }
}
