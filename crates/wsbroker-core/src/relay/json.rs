//! Strings of JSON as JavaScript reads and writes them.
//!
//! A string of JavaScript is UTF-16 and may hold half a surrogate pair. `JSON.parse` makes such a string of `"\ud800"`, and `JSON.stringify` writes it so
//! again; a `String` of Rust cannot hold it, hence the detour over code units where there is an escape.

use std::borrow::Cow;

/// The string that a literal of valid JSON, quotes included, stands for. Half a surrogate pair becomes U+FFFD, as wherever a string crosses to UTF-8.
pub(super) fn parse(literal: &str) -> Cow<'_, str> {
    let inner = inner(literal);
    if inner.contains('\\') { String::from_utf16_lossy(&units(inner)).into() } else { inner.into() }
}

/// The literal as `JSON.stringify` writes its string: escaped is only what has to be.
pub(super) fn canonical(literal: &str) -> Cow<'_, str> {
    // Without an escape there is nothing in it that would have to be escaped: JSON does not allow that.
    if !literal.contains('\\') {
        return literal.into();
    }
    let mut text = String::with_capacity(literal.len());
    text.push('"');
    for unit in char::decode_utf16(units(inner(literal))) {
        match unit {
            Ok(character) => push(&mut text, character),
            Err(half) => push_unit(&mut text, half.unpaired_surrogate()),
        }
    }
    text.push('"');
    text.into()
}

/// Writes a string as `JSON.stringify` does.
pub(super) fn write(text: &mut String, value: &str) {
    text.push('"');
    let mut rest = value;
    while let Some(at) = rest.find(|character: char| character < ' ' || character == '"' || character == '\\') {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        let mut characters = special.chars();
        if let Some(character) = characters.next() {
            push(text, character);
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

fn push(text: &mut String, character: char) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\u{8}' => text.push_str("\\b"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\u{c}' => text.push_str("\\f"),
        '\r' => text.push_str("\\r"),
        control @ '\0'..' ' => push_unit(text, control as u16),
        other => text.push(other),
    }
}

fn push_unit(text: &mut String, unit: u16) {
    text.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        text.extend(char::from_digit(u32::from(unit >> shift) & 15, 16));
    }
}

fn inner(literal: &str) -> &str {
    literal.strip_prefix('"').and_then(|literal| literal.strip_suffix('"')).unwrap_or(literal)
}

/// The code units of the inside of a valid literal.
fn units(inner: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        units.extend(plain.encode_utf16());
        let mut characters = escape.chars();
        let unit = match characters.next() {
            Some('u') => {
                let digits = escape.get(1..5).unwrap_or_default();
                characters = escape.get(5..).unwrap_or_default().chars();
                u16::from_str_radix(digits, 16).unwrap_or(0xfffd)
            }
            Some('b') => 8,
            Some('t') => 9,
            Some('n') => 10,
            Some('f') => 12,
            Some('r') => 13,
            // A quote, a slash or a backslash.
            Some(other) => other as u16,
            None => break,
        };
        units.push(unit);
        rest = characters.as_str();
    }
    units.extend(rest.encode_utf16());
    units
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_javascript_escapes_is_escaped_and_nothing_else() {
        let mut text = String::new();
        write(&mut text, "\u{0}\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1f} \"\\/\u{7f}\u{2028}é😀");
        assert_eq!(text, "\"\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f \\\"\\\\/\u{7f}\u{2028}é😀\"");
    }

    #[test]
    fn a_literal_is_written_as_javascript_would_write_it_again() {
        for (literal, expected) in [
            (r#""plain é😀""#, r#""plain é😀""#),
            (r#""\/\u0041\u00e9\ud83d\ude00""#, r#""/Aé😀""#),
            (r#""\u0008\u001F\"\\""#, r#""\b\u001f\"\\""#),
            (r#""\uD83D\uD83D\uDE00 \uDE00""#, r#""\ud83d😀 \ude00""#),
            (r#""""#, r#""""#),
        ] {
            assert_eq!(canonical(literal), expected);
        }
    }

    #[test]
    fn half_a_pair_reads_as_the_replacement_character() {
        assert_eq!(parse(r#""a\ud800b\udc00\ud83d\ude00""#), "a\u{fffd}b\u{fffd}😀");
    }

    proptest! {
        #[test]
        fn strings_are_written_and_read_as_serde_json_does_it(value in any::<String>()) {
            let mut text = String::new();
            write(&mut text, &value);
            // It writes the same escapes, since the same ones are short.
            prop_assert_eq!(&text, &serde_json::to_string(&value).unwrap());
            prop_assert_eq!(parse(&text), value.as_str());
            prop_assert_eq!(canonical(&text), text.as_str());
            let escaped: String = value.encode_utf16().fold(String::new(), |mut escaped, unit| {
                push_unit(&mut escaped, unit);
                escaped
            });
            let escaped = format!("\"{escaped}\"");
            prop_assert_eq!(parse(&escaped), value.as_str());
            prop_assert_eq!(canonical(&escaped), text.as_str());
        }
    }
}
