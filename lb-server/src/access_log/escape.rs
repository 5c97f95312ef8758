//! What a peer sent, written so that it stays one value on one line, whatever it is.
//!
//! In every form no byte below 0x20, no DEL, no quote and no backslash of a peer's reaches the output as it is. So no
//! value can end its quotes or its line, and no terminal that shows the log obeys it.

use std::str::Utf8Chunk;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// How a value is written in one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Inside the quotes of a JSON string, RFC 8259 §7; what is not UTF-8 becomes U+FFFD.
    Json,
    /// `\x22`, as nginx does: quotes in the output are the format's own.
    Backslash,
    /// `#22`, as HAProxy does, with the delimiters of its captured fields.
    Hash,
}

impl Escape {
    /// Appends a value.
    pub(crate) fn push(self, out: &mut Vec<u8>, value: &[u8]) {
        let mut rest = value;
        while !rest.is_empty() {
            let clean = rest.iter().position(|byte| !self.is_clean(*byte));
            let (plain, unclean) = rest.split_at(clean.unwrap_or(rest.len()));
            out.extend_from_slice(plain);
            let Some(byte) = unclean.first() else { return };
            if self == Self::Json && !byte.is_ascii() {
                let end = unclean.iter().position(u8::is_ascii);
                let (text, after) = unclean.split_at(end.unwrap_or(unclean.len()));
                text.utf8_chunks().for_each(|chunk| unicode(out, &chunk));
                rest = after;
                continue;
            }
            self.byte(out, *byte);
            rest = &unclean[1..];
        }
    }

    fn is_clean(self, byte: u8) -> bool {
        (0x20..0x7f).contains(&byte)
            && match self {
                Self::Json | Self::Backslash => byte != b'"' && byte != b'\\',
                Self::Hash => !matches!(byte, b'"' | b'\\' | b'#' | b'{' | b'|' | b'}'),
            }
    }

    fn byte(self, out: &mut Vec<u8>, byte: u8) {
        let hex = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]];
        match (self, byte) {
            (Self::Json, b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            (Self::Json, b'\t') => out.extend_from_slice(b"\\t"),
            (Self::Json, b'\n') => out.extend_from_slice(b"\\n"),
            (Self::Json, b'\r') => out.extend_from_slice(b"\\r"),
            (Self::Json, _) => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex);
            }
            (Self::Backslash, _) => {
                out.extend_from_slice(b"\\x");
                out.extend_from_slice(&hex.map(|digit| digit.to_ascii_uppercase()));
            }
            (Self::Hash, _) => {
                out.push(b'#');
                out.extend_from_slice(&hex.map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
}

/// Appends text beyond ASCII to a JSON string.
fn unicode(out: &mut Vec<u8>, chunk: &Utf8Chunk<'_>) {
    for letter in chunk.valid().chars() {
        if is_disturbing(letter) {
            let code = u32::from(letter);
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                out.push(HEX[(code >> shift & 0xf) as usize]);
            }
        } else {
            out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if !chunk.invalid().is_empty() {
        out.extend_from_slice("\u{fffd}".as_bytes());
    }
}

/// Controls of terminals (C1), line ends that are no control characters, and what turns the order of letters around.
fn is_disturbing(letter: char) -> bool {
    matches!(letter,
        '\u{80}'..='\u{9f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(escape: Escape, value: &[u8]) -> String {
        let mut out = Vec::new();
        escape.push(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keeps_what_is_harmless() {
        let plain = b"GET /a-b_c?d=e&f=%20 (compatible; x/1.0)";
        for escape in [Escape::Json, Escape::Backslash, Escape::Hash] {
            assert_eq!(escaped(escape, plain).as_bytes(), plain);
        }
    }

    #[test]
    fn writes_no_control_character_quote_or_backslash_as_it_is() {
        let hostile = b"a\"\r\n\t\\\x00\x7f\x1b[2J#{|}";
        assert_eq!(
            escaped(Escape::Json, hostile),
            r#"a\"\r\n\t\\\u0000\u007f\u001b[2J#{|}"#
        );
        assert_eq!(
            escaped(Escape::Backslash, hostile),
            r"a\x22\x0D\x0A\x09\x5C\x00\x7F\x1B[2J#{|}"
        );
        assert_eq!(
            escaped(Escape::Hash, hostile),
            "a#22#0D#0A#09#5C#00#7F#1B[2J#23#7B#7C#7D"
        );
    }

    #[test]
    fn keeps_letters_and_mends_what_is_none() {
        assert_eq!(escaped(Escape::Json, "grün 🦀".as_bytes()), "grün 🦀");
        assert_eq!(escaped(Escape::Json, b"\xffa\xc3"), "\u{fffd}a\u{fffd}");
        assert_eq!(
            escaped(Escape::Json, "\u{9b}\u{2028}\u{202e}".as_bytes()),
            r"\u009b\u2028\u202e"
        );
        assert_eq!(escaped(Escape::Backslash, "ü".as_bytes()), r"\xC3\xBC");
        assert_eq!(escaped(Escape::Hash, "ü".as_bytes()), "#C3#BC");
    }
}
