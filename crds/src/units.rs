//! Kubernetes' notations for sizes and times, as plain numbers.

use std::{borrow::Cow, time};

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A Go duration, as it stands in a manifest: `metav1.Duration`, but never negative. It is read by [`duration`], as
/// kube's own type panics at some texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(time::Duration);

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        kube::core::Duration::from(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format!("{text:?} is no duration such as 500ms, 30s or 1h30m"));
        duration(&text).map(Self).ok_or_else(wrong)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "string"})
    }
}

/// A Go duration of whole seconds.
pub fn seconds(n: u64) -> Duration {
    Duration(time::Duration::from_secs(n))
}

/// A Go duration such as `500ms`, `30s` or `1m30s`; none if it is something else, negative, or longer than Go's longest
/// (292 years). kube's own parser panics at what is too long, and at `1s-1s`.
pub fn duration(text: &str) -> Option<time::Duration> {
    const LONGEST: time::Duration = time::Duration::from_nanos(i64::MAX.unsigned_abs());
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(time::Duration::ZERO);
    }
    let mut total = (!rest.is_empty()).then_some(time::Duration::ZERO)?;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let seconds = match unit {
            "ns" => 1e-9,
            // The micro sign, and the Greek letter.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = time::Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST)?;
        rest = after;
    }
    Some(total)
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

/// The cores that a quantity such as `250m` or `1.5` stands for.
pub fn cores(quantity: &IntOrString) -> Option<f64> {
    let text = match quantity {
        IntOrString::Int(n) => return Some(f64::from(*n)),
        IntOrString::String(text) => text.trim(),
    };
    let (number, scale) = text.strip_suffix('m').map_or((text, 1.0), |number| (number, 1000.0));
    number.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(duration("500ms"), Some(time::Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Some(time::Duration::from_secs(90)));
        assert_eq!(duration("+1.5h"), Some(time::Duration::from_mins(90)));
        assert_eq!(
            (duration("0"), duration("3\u{b5}s")),
            (Some(time::Duration::ZERO), Some(time::Duration::from_micros(3)))
        );
        let long = format!("{}s", "7".repeat(60));
        for wrong in
            ["", "+", "s", "30", "-1s", "1s-1s", "30 s", "soon", ".s", "1.2.3s", "NaNs", "infs", "2562048h", &long]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert!(duration("2562047h").is_some());
    }

    #[test]
    fn cores_are_whole_or_thousandths() {
        let read = |text: &str| cores(&IntOrString::String(text.into()));
        assert_eq!((read("250m"), read("1.5"), read("2")), (Some(0.25), Some(1.5), Some(2.0)));
        assert_eq!((cores(&IntOrString::Int(3)), read("much"), read("inf")), (Some(3.0), None, None));
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
