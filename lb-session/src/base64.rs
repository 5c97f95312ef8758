//! Base64 with the URL-safe alphabet and without padding (RFC 4648 §5), of lengths known in advance.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What is no digit; as all digits are below 64, this bit tells after any number of them.
const NO_DIGIT: u8 = 0x80;

const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 64 {
        digits[ALPHABET[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};

/// Appends the text of `bytes`, four characters for three bytes.
pub(crate) fn encode(bytes: &[u8], text: &mut String) {
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=chunk.len() {
            let digit = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(ALPHABET[digit as usize]));
        }
    }
}

/// The bytes of a text, if it is the one text that [`encode`] makes of them.
///
/// Bits that stand for no byte have to be zero, so that no two texts mean the same.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    let mut bytes = [0; N];
    let mut seen = 0;
    for (out, digits) in bytes.chunks_mut(3).zip(text.chunks(4)) {
        let mut bits = 0_u32;
        for index in 0..4 {
            let digit = digits
                .get(index)
                .map_or(0, |&letter| DIGITS[letter as usize]);
            seen |= digit;
            bits = bits << 6 | u32::from(digit & 63);
        }
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (kept, rest) = decoded.split_at(out.len());
        if rest.iter().any(|&byte| byte != 0) {
            return None;
        }
        out.copy_from_slice(kept);
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text);
        text
    }

    #[test]
    fn agrees_with_the_vectors_of_the_rfc() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(text(bytes.as_bytes()), expected);
        }
        assert_eq!(text(&[0xfb, 0xff, 0xbf]), "-_-_");
    }

    #[test]
    fn decodes_only_what_it_encodes() {
        for last in u8::MIN..=u8::MAX {
            let bytes = [7, 250, 33, last];
            assert_eq!(decode(text(&bytes).as_bytes()), Some(bytes));
        }
        // Every two-letter text, of which 256 stand for a byte.
        let texts = (0..=u16::MAX).map(u16::to_be_bytes);
        assert_eq!(texts.filter_map(|text| decode::<1>(&text)).count(), 256);
    }

    #[test]
    fn refuses_other_lengths_and_letters() {
        for refused in ["", "Zg=", "Zg==", "Z", "Z g", "Zm9", "Z+", "Z/", "Zé"] {
            assert_eq!(decode::<1>(refused.as_bytes()), None, "{refused}");
        }
    }
}
