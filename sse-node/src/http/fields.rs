//! The header fields of a request, whether a shard's raw path or hyper has read them.

use hyper::{HeaderMap, header::HeaderValue};

/// The header fields of a request. A value that is no text is as if it were not there.
#[derive(Clone, Copy)]
pub enum Fields<'a> {
    Raw(&'a [(&'a str, &'a str)]),
    Map(&'a HeaderMap),
}

impl<'a> Fields<'a> {
    /// The values of all lines of a field, in order.
    pub fn all(self, name: &str) -> Vec<&'a str> {
        match self {
            Self::Raw(fields) => {
                fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value).collect()
            }
            Self::Map(map) => map.get_all(name).iter().filter_map(text).collect(),
        }
    }

    /// As `all`, and also what is no text.
    pub fn bytes(self, name: &str) -> Vec<&'a [u8]> {
        match self {
            Self::Raw(_) => self.all(name).into_iter().map(str::as_bytes).collect(),
            Self::Map(map) => map.get_all(name).iter().map(HeaderValue::as_bytes).collect(),
        }
    }

    /// The value of the first line of a field.
    pub fn first(self, name: &str) -> Option<&'a str> {
        match self {
            Self::Raw(fields) => {
                fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
            }
            Self::Map(map) => map.get(name).and_then(text),
        }
    }
}

/// As the bare socket reads it: UTF-8, which `HeaderValue::to_str` is not.
fn text(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_fields_are_read_alike() {
        let raw = [("Cookie", "a=1"), ("X-Other", "é"), ("cookie", "b=2")];
        let mut map = HeaderMap::new();
        for (name, value) in raw {
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        for fields in [Fields::Raw(&raw), Fields::Map(&map)] {
            assert_eq!(fields.all("COOKIE"), ["a=1", "b=2"]);
            assert_eq!((fields.first("x-other"), fields.first("host")), (Some("é"), None));
        }
    }
}
