//! The common names in a certificate's subject, RFC 5280 4.1.2.6: of its DER only the way to them is read.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// id-at-commonName, RFC 5280 appendix A.1.
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";
/// The kinds of string that such a name may be: UTF8String, PrintableString.
const STRINGS: [u8; 2] = [0x0c, 0x13];

/// Of a Name's content, a sequence of sets of pairs.
pub fn common_names(mut name: &[u8]) -> Vec<&str> {
    let mut names = Vec::new();
    while let Some((SET, mut set, rest)) = element(name) {
        while let Some((SEQUENCE, pair, others)) = element(set) {
            let value = pair.strip_prefix(COMMON_NAME).and_then(element);
            if let Some((tag, value, [])) = value
                && STRINGS.contains(&tag)
            {
                names.extend(str::from_utf8(value));
            }
            set = others;
        }
        name = rest;
    }
    names
}

/// The tag and the content of the first element, and what is behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, der) = der.split_first()?;
    let (&first, der) = der.split_first()?;
    // No name is longer than 255 bytes, which take two digits.
    let (length, der) = match first {
        0..=0x7f => (first, der),
        0x81 => der.split_first().map(|(length, der)| (*length, der))?,
        _ => return None,
    };
    let (content, rest) = der.split_at_checked(length.into())?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_found_among_other_parts_of_a_subject() {
        let subject = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x0a\x13\x02us\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03abc";
        assert_eq!(common_names(subject), ["abc"]);
        assert!(common_names(b"").is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(der in proptest::collection::vec(any::<u8>(), 0..60), head in 0_usize..3) {
            let heads: [&[u8]; 3] = [b"", b"\x31\x0c\x30\x0a\x06\x03\x55\x04\x03", b"\x31\x81\xff\x30\x81"];
            let _ = common_names(&[heads[head], &der].concat());
        }
    }
}
