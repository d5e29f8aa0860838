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

/// The same as an order book that a service might send: JSON with numbers and names of its own, less regular than a
/// row of dots, and as alike as such data is.
pub fn orders(n: u64, at: u64, size: usize) -> String {
    let mut random = fastrand::Rng::with_seed(n);
    let mut data = format!("{{\"n\":{n},\"at\":{at},\"orders\":[");
    loop {
        let symbol = random.choice(["EURUSD", "GBPJPY", "AAPL", "MSFT", "BTCUSD", "XAUUSD"]).unwrap_or_default();
        let action = random.choice(["buy", "sell"]).unwrap_or_default();
        let (id, price, quantity) = (random.u64(..), random.u32(10_000..2_000_000), random.u32(1..5_000));
        let order = format!(
            "{{\"id\":\"{id:016x}\",\"symbol\":\"{symbol}\",\"action\":\"{action}\",\"price\":{}.{:02},\"quantity\":{quantity}}}",
            price / 100,
            price % 100,
        );
        // With the comma, the end, and room for what makes it as long as it should be.
        let rest = "],\"pad\":\"\"}".len();
        if data.len() + order.len() + 1 + rest > size {
            let length = size.saturating_sub(data.len() + rest);
            let pad: String = std::iter::repeat_with(|| random.alphanumeric()).take(length).collect();
            return data + "],\"pad\":\"" + &pad + "\"}";
        }
        if !data.ends_with('[') {
            data.push(',');
        }
        data.push_str(&order);
    }
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
        let orders = orders(12_345, now(), 1024);
        assert_eq!(orders.len(), 1024);
        let value: serde_json::Value = serde_json::from_str(&orders).expect("JSON");
        assert!(value["n"] == 12_345 && value["orders"].as_array().expect("orders").len() > 5, "{value}");
        assert_eq!(encode(1, 2, 10), "{\"n\":1,\"at\":2}");
    }
}
