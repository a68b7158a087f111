//! JSON strings as JavaScript reads and writes them.
//!
//! A JavaScript string is UTF-16, and may have unpaired surrogates. `JSON.parse` makes such a
//! string of `"\ud800"`, and `JSON.stringify` writes it as that again. A Rust `String` cannot hold
//! it. So a literal with an escape is handled by its code units.

use std::borrow::Cow;

use serde_json::Value;

/// The string of a valid JSON literal, which includes its quotes. Unpaired surrogates become
/// U+FFFD, as wherever a string becomes UTF-8.
pub(super) fn parse(literal: &str) -> Cow<'_, str> {
    let inner = inner(literal);
    if inner.contains('\\') { String::from_utf16_lossy(&units(inner)).into() } else { inner.into() }
}

/// What JavaScript's `String` makes of a value in valid JSON. `None` if the value is falsy, or an
/// array or object that Rust cannot hold.
pub(super) fn truthy_text(value: &str) -> Option<Cow<'_, str>> {
    match value.as_bytes().first()? {
        b'"' => Some(parse(value)).filter(|text| !text.is_empty()),
        b't' => Some("true".into()),
        b'[' | b'{' => serde_json::from_str(value).ok().map(|value: Value| text_of(&value).into()),
        b'-' | b'0'..=b'9' => {
            value.parse().ok().filter(|number| *number != 0.0).map(|number| number_text(number).into())
        }
        _ => None,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number_text(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        Value::Array(members) => {
            let texts = members.iter().map(|member| if member.is_null() { String::new() } else { text_of(member) });
            texts.collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => "[object Object]".into(),
    }
}

/// JavaScript and Rust both write the shortest digits, but begin to use an exponent at different
/// sizes.
fn number_text(number: f64) -> String {
    match number.abs() {
        f64::INFINITY => if number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        0.0 => "0".into(),
        1e-6..1e21 => number.to_string(),
        1e21.. => format!("{number:e}").replace('e', "e+"),
        _ => format!("{number:e}"),
    }
}

/// The literal as `JSON.stringify` writes its string: with no escape that is not needed.
pub(super) fn canonical(literal: &str) -> Cow<'_, str> {
    // Without an escape there is nothing that needs one: JSON does not allow it.
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

/// The code units of a valid literal without its quotes.
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

    #[test]
    fn values_become_text_as_in_javascript() {
        let cases = [
            ("7", "7"),
            ("-7.50", "-7.5"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("-1.5e300", "-1.5e+300"),
            ("1e-6", "0.000001"),
            ("1.5e-7", "1.5e-7"),
            ("1e999", "Infinity"),
            ("-1e999", "-Infinity"),
            ("0.1", "0.1"),
            ("123456789012345678", "123456789012345680"),
            ("true", "true"),
            ("{}", "[object Object]"),
            ("[]", ""),
            (r#"[1,[2,null],"a",{},true,-0]"#, "1,2,,a,[object Object],true,0"),
            (r#""a""#, "a"),
        ];
        for (value, text) in cases {
            assert_eq!(truthy_text(value).as_deref(), Some(text), "{value}");
        }
        for value in ["0", "-0", "0e5", "1e-999", "null", "false", r#""""#] {
            assert_eq!(truthy_text(value), None, "{value}");
        }
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
