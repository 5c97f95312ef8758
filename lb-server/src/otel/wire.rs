//! The wire format of Protocol Buffers, as far as a span needs it.
//!
//! OTLP's messages are a handful of fields whose numbers cannot change any more (opentelemetry-proto is stable since
//! 1.0). Written straight into the worker's buffer they cost no allocation.

/// Appends a number in base 128.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn tag(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

/// Appends a whole number.
pub(super) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    tag(out, field, 0);
    varint(out, value);
}

/// Appends eight bytes, as times are written.
pub(super) fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    tag(out, field, 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends four bytes, as flags are written.
pub(super) fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    tag(out, field, 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends bytes, or a text.
pub(super) fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    tag(out, field, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a message in the message: `write` appends its fields.
pub(super) fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, 2);
    let start = out.len();
    write(out);
    let end = out.len();
    varint(out, (end - start) as u64);
    // The length stands before what it is the length of.
    let prefix = out.len() - end;
    out[start..].rotate_right(prefix);
}

/// How many entries stand in a row, each with a tag of one byte and a length.
pub(super) fn count(mut entries: &[u8]) -> u64 {
    let mut count = 0;
    while let Some((_tag, rest)) = entries.split_first() {
        let mut length = 0_usize;
        let mut read = 0;
        for (byte, shift) in rest.iter().zip((0..usize::BITS).step_by(7)) {
            length |= usize::from(byte & 0x7f) << shift;
            read += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        entries = rest.get(read + length..).unwrap_or_default();
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    /// The examples of the format's own documentation.
    #[test]
    fn writes_what_its_documentation_shows() {
        assert_eq!(written(|out| number(out, 1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(
            written(|out| bytes(out, 2, b"testing")),
            *b"\x12\x07testing"
        );
        assert_eq!(
            written(|out| message(out, 3, |out| number(out, 1, 150))),
            [0x1a, 0x03, 0x08, 0x96, 0x01]
        );
        assert_eq!(
            written(|out| fixed64(out, 7, 1)),
            [0x39, 1, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(written(|out| fixed32(out, 16, 1)), [0x85, 0x01, 1, 0, 0, 0]);
    }

    #[test]
    fn puts_a_long_length_before_its_message() {
        let long = written(|out| message(out, 2, |out| bytes(out, 5, &[7; 300])));
        assert_eq!(long[..6], [0x12, 0xaf, 0x02, 0x2a, 0xac, 0x02]);
        assert_eq!(long.len(), 306);
    }

    #[test]
    fn counts_entries() {
        let mut out = Vec::new();
        for size in [0, 1, 127, 128, 20_000] {
            bytes(&mut out, 2, &vec![9; size]);
        }
        assert_eq!(count(&out), 5);
        assert_eq!(count(&out[..out.len() - 1]), 5);
        assert_eq!(count(b""), 0);
    }
}
