//! Writes the one JSON object that a run prints.

use std::fmt::Write;

/// A JSON object under construction; fields come out in the order they were put in.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    fn key(&mut self, name: &str) -> &mut String {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, name);
        self.0.push(':');
        &mut self.0
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        quote(self.key(name), value);
        self
    }

    pub(crate) fn count(mut self, name: &str, value: u64) -> Self {
        self.key(name).push_str(&value.to_string());
        self
    }

    /// A number with six digits behind the point; what is not a finite number is `null`.
    pub(crate) fn number(mut self, name: &str, value: f64) -> Self {
        let out = self.key(name);
        if value.is_finite() {
            let digits = format!("{value:.6}");
            out.push_str(digits.trim_end_matches('0').trim_end_matches('.'));
        } else {
            out.push_str("null");
        }
        self
    }

    pub(crate) fn flag(mut self, name: &str, value: bool) -> Self {
        self.key(name).push_str(if value { "true" } else { "false" });
        self
    }

    pub(crate) fn object(mut self, name: &str, value: Object) -> Self {
        let inner = value.finish();
        self.key(name).push_str(&inner);
        self
    }

    pub(crate) fn texts<'a>(mut self, name: &str, values: impl IntoIterator<Item = &'a String>) -> Self {
        let out = self.key(name);
        out.push('[');
        for (i, value) in values.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            quote(out, value);
        }
        out.push(']');
        self
    }

    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quote(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            // Writing to a String cannot fail.
            c if c < ' ' => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_json() {
        let inner = Object::new().count("n", 3);
        let json = Object::new()
            .text("a\"b", "line\n")
            .number("half", 0.5)
            .number("two", 2.0)
            .number("none", f64::NAN)
            .flag("yes", true)
            .object("in", inner)
            .texts("list", &["x".to_owned(), "y".to_owned()])
            .finish();
        let expected =
            r#"{"a\"b":"line\u000a","half":0.5,"two":2,"none":null,"yes":true,"in":{"n":3},"list":["x","y"]}"#;
        assert_eq!(json, expected);
    }
}
