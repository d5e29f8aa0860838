//! A JSON object by its members, each given once: two parsers that take a different one of two members with the same
//! name are how forged claims get by (RFC 8725 2.4, RFC 7515 10.12).

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of an object, as text.
#[derive(Debug)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// A member as a type. None: it is not there, or null. An error: it is something else.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, WrongType> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        serde_json::from_str::<Option<T>>(value).map_err(|_| WrongType)
    }

    /// The text of a member.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| value.get())
    }
}

/// A member is not of the type that it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose members have different names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::with_capacity(8);
                while let Some((name, value)) = map.next_entry()? {
                    if members.len() == MOST {
                        return Err(A::Error::custom("too many members"));
                    }
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom("a member is given twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The most members; looking for twins is quadratic.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_given_twice_is_refused_however_it_is_spelled() {
        let read = |text: &str| serde_json::from_str::<Members>(text);
        let members = read(r#"{"a": 1, "b": {"a": 2, "a": 3}, "c": null}"#).unwrap();
        assert_eq!(members.get::<u8>("a"), Ok(Some(1)));
        assert_eq!((members.get::<u8>("c"), members.get::<u8>("d")), (Ok(None), Ok(None)));
        assert_eq!(members.get::<String>("a"), Err(WrongType));
        for twice in [r#"{"sub":"a","sub":"b"}"#, r#"{"sub":"a","s\u0075b":"b"}"#, r#"{"x":1,"x":1}"#] {
            assert!(read(twice).unwrap_err().to_string().contains("twice"), "{twice}");
        }
        for wrong in ["", "[]", "1", "null", r#""a""#, r#"{"a":1}{"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
