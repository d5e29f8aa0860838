//! Kubernetes' notations for sizes and times, as plain numbers.

use std::time;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::Duration;

/// A Go duration of whole seconds.
pub fn seconds(n: u64) -> Duration {
    Duration::from(time::Duration::from_secs(n))
}

/// A Go duration such as `500ms`, `30s` or `1m30s`; none if it is something else or negative.
pub fn duration(text: &str) -> Option<time::Duration> {
    // kube reads nothing as no time at all; Go does not.
    let duration = (!text.is_empty()).then(|| text.parse::<Duration>().ok())??;
    (!duration.is_negative()).then(|| duration.into())
}

/// The bytes that a quantity such as `256Ki`, `1.5M` or `4096` stands for, rounded up.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
pub fn bytes(quantity: &IntOrString) -> Option<u64> {
    let text = match quantity {
        IntOrString::Int(n) => return u64::try_from(*n).ok(),
        IntOrString::String(text) => text.trim(),
    };
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let scale: u64 = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "T" => 1000_u64.pow(4),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale);
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    number.parse::<f64>().ok().map(|n| (n * scale as f64).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(duration("500ms"), Some(time::Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Some(time::Duration::from_secs(90)));
        for wrong in ["", "s", "30", "-1s", "30 s", "soon"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let read = |text: &str| bytes(&IntOrString::String(text.into()));
        assert_eq!(read("256Ki"), Some(262_144));
        assert_eq!(read("1.5M"), Some(1_500_000));
        assert_eq!(read("1Gi"), Some(1 << 30));
        assert_eq!(read("4096"), Some(4096));
        assert_eq!(bytes(&IntOrString::Int(7)), Some(7));
        for wrong in ["", "Ki", "1.2.3", "-1", "1KiB", "99999999999Ti"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(bytes(&IntOrString::Int(-7)), None);
    }
}
