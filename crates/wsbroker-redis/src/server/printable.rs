//! Text from elsewhere, made fit for a log or a terminal.

/// Characters that are kept.
const LONGEST: usize = 300;

/// One line of at most 300 characters, without anything that would control a terminal.
pub(crate) fn clean(text: &str) -> String {
    let mut chars = text.trim().chars();
    let mut clean: String =
        chars.by_ref().take(LONGEST).map(|char| if is_control(char) { '?' } else { char }).collect();
    if chars.next().is_some() {
        clean.push('…');
    }
    clean
}

/// Control characters, and those that break a line or turn its direction, which could make it look
/// like another one.
fn is_control(char: char) -> bool {
    char.is_control() || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_replaced_and_what_is_long_is_cut() {
        assert_eq!(clean(" WRONGPASS no\u{1b}[2J\r\nready\u{202e}\u{9b}1m\n"), "WRONGPASS no?[2J??ready??1m");
        assert_eq!(clean(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(clean(&"é".repeat(LONGEST + 1)).chars().count(), LONGEST + 1);
    }
}
