//! Keys, out of the bytes that a terminal sends for them.

/// What was pressed, as far as it means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    Letter(char),
    /// Control and C, which is a key and no signal while the terminal is raw.
    Interrupt,
}

/// The keys in what was read at once (ECMA-48 §5.4; xterm's sequences). What is cut off or unknown
/// is left out.
pub(super) fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        match first {
            0x1b => match rest {
                [b'[' | b'O', sequence @ ..] => {
                    let end = sequence
                        .iter()
                        .position(|byte| (0x40..=0x7e).contains(byte));
                    let length = end.map_or(sequence.len(), |end| end + 1);
                    let (sequence, rest) = sequence.split_at(length);
                    keys.extend(special(sequence));
                    bytes = rest;
                }
                _ => keys.push(Key::Letter('q')),
            },
            0x03 => keys.push(Key::Interrupt),
            0x20..=0x7e => keys.push(Key::Letter(char::from(*first))),
            _ => {}
        }
    }
    keys
}

fn special(sequence: &[u8]) -> Option<Key> {
    Some(match sequence {
        b"A" => Key::Up,
        b"B" => Key::Down,
        b"C" => Key::Right,
        b"D" => Key::Left,
        b"H" | b"1~" | b"7~" => Key::Home,
        b"F" | b"4~" | b"8~" => Key::End,
        b"5~" => Key::PageUp,
        b"6~" => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_one_key_and_letters_are_themselves() {
        assert_eq!(
            keys(b"s\x1b[A\x1bOB\x1b[6~q\x03"),
            [
                Key::Letter('s'),
                Key::Up,
                Key::Down,
                Key::PageDown,
                Key::Letter('q'),
                Key::Interrupt
            ]
        );
        // Escape alone, an unknown key with a modifier, something cut off, and what is no ASCII.
        assert_eq!(keys(b"\x1b"), [Key::Letter('q')]);
        assert_eq!(keys(b"\x1b[1;5Zx"), [Key::Letter('x')]);
        assert_eq!(keys(b"\x1b[1"), []);
        assert_eq!(keys("ä\r".as_bytes()), []);
    }
}
