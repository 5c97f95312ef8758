//! Byte ranges of a stored body (RFC 9110 §14), bounded in number.

use std::ops::Range;

use super::list::members;

/// How many ranges one request may ask for; with more it gets the whole body.
const MAX_RANGES: usize = 16;
/// A gap between two ranges that is smaller than the head of a part is sent along.
const MERGED_GAP: u64 = 80;

/// The parts of a body that a request asked for: 1 to 16, none overlapping another.
///
/// In the order of the request, unless parts had to be merged; then in the order of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRanges {
    parts: Vec<Part>,
    length: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    start: u64,
    end: u64,
}

/// What a `Range` field means for a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RangeField {
    /// Another unit, a broken one, or one that asks for too much: as if it were not there.
    Ignored,
    Unsatisfiable,
    Parts(ByteRanges),
}

impl ByteRanges {
    /// Reads a `Range` for a body of `length` bytes.
    pub(crate) fn parse(value: &[u8], length: u64) -> RangeField {
        let Some(specs) = specs(value) else {
            return RangeField::Ignored;
        };
        let mut ranges = Self {
            parts: Vec::new(),
            length,
        };
        let mut asked = 0;
        for spec in members(specs) {
            asked += 1;
            let Some(part) = part(spec, length) else {
                return RangeField::Ignored;
            };
            if asked > MAX_RANGES {
                return RangeField::Ignored;
            }
            if part.start < part.end {
                ranges.parts.push(part);
            }
        }
        if asked == 0 || length == 0 {
            return RangeField::Ignored;
        }
        if ranges.parts.is_empty() {
            return RangeField::Unsatisfiable;
        }
        ranges.merge();
        RangeField::Parts(ranges)
    }

    /// Merges what overlaps or lies close together, so that no byte is sent twice.
    fn merge(&mut self) {
        let mut sorted = self.parts.clone();
        sorted.sort_unstable();
        let close = |one: &Part, next: &Part| next.start <= one.end.saturating_add(MERGED_GAP);
        if !sorted.windows(2).any(|pair| close(&pair[0], &pair[1])) {
            return;
        }
        self.parts.clear();
        for part in sorted {
            match self.parts.last_mut() {
                Some(last) if close(last, &part) => last.end = last.end.max(part.end),
                _ => self.parts.push(part),
            }
        }
    }

    /// The parts, each from its first byte to behind its last.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.parts.iter().map(|part| part.start..part.end)
    }

    /// The length of the whole body.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The one part, if there is no more.
    pub fn single(&self) -> Option<Range<u64>> {
        match &*self.parts {
            [part] => Some(part.start..part.end),
            _ => None,
        }
    }

    /// Frames several parts as `multipart/byteranges`.
    ///
    /// `random` makes the boundary; it has to be unforeseeable, else a body could contain it. `content_type` is that of the
    /// whole response.
    pub fn multipart(&self, content_type: Option<&str>, random: u64) -> Multipart {
        Multipart {
            ranges: self.clone(),
            content_type: content_type.map(Into::into),
            random,
        }
    }
}

/// The framing of several parts: before each part its head, after the last one the end.
///
/// # References
/// RFC 9110 §14.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    ranges: ByteRanges,
    content_type: Option<Box<str>>,
    random: u64,
}

impl Multipart {
    /// The value of `Content-Type`.
    pub fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={:016x}", self.random)
    }

    /// The head of each part, with the part.
    pub fn parts(&self) -> impl Iterator<Item = (String, Range<u64>)> {
        self.ranges.iter().enumerate().map(|(at, part)| {
            let line = if at == 0 { "" } else { "\r\n" };
            let content_type = self.content_type.as_ref();
            let content_type = content_type
                .map(|value| format!("Content-Type: {value}\r\n"))
                .unwrap_or_default();
            let range = content_range(&part, self.ranges.length);
            let head = format!(
                "{line}--{:016x}\r\n{content_type}Content-Range: {range}\r\n\r\n",
                self.random
            );
            (head, part)
        })
    }

    /// What stands behind the last part.
    pub fn end(&self) -> String {
        format!("\r\n--{:016x}--\r\n", self.random)
    }

    /// The length of the whole, heads and parts.
    pub fn content_length(&self) -> u64 {
        let parts = self.parts();
        let bytes = parts.map(|(head, part)| head.len() as u64 + part.end - part.start);
        bytes.sum::<u64>() + self.end().len() as u64
    }
}

/// `bytes 0-4/10`
pub(crate) fn content_range(part: &Range<u64>, length: u64) -> String {
    format!(
        "bytes {}-{}/{length}",
        part.start,
        part.end.saturating_sub(1)
    )
}

/// What stands behind `bytes=`.
fn specs(value: &[u8]) -> Option<&[u8]> {
    let (unit, specs) = value.trim_ascii().split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(specs)
}

/// One range of a body of `length` bytes, empty if it lies behind the end; `None` if it is broken.
fn part(spec: &[u8], length: u64) -> Option<Part> {
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(Part {
            start: length.saturating_sub(suffix),
            end: length,
        });
    }
    let start = number(first)?;
    let end = if last.is_empty() {
        length
    } else {
        let last = number(last)?;
        if last < start {
            return None;
        }
        last.saturating_add(1).min(length)
    };
    Some(Part { start, end })
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        (digit < 10).then(|| number.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str, length: u64) -> Option<Vec<(u64, u64)>> {
        match ByteRanges::parse(value.as_bytes(), length) {
            RangeField::Ignored => None,
            RangeField::Unsatisfiable => Some(Vec::new()),
            RangeField::Parts(parts) => {
                Some(parts.iter().map(|part| (part.start, part.end)).collect())
            }
        }
    }

    #[test]
    fn what_is_broken_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-3",
            "bytes=1-2, x",
            "bytes=1--2",
            "items=0-1",
            "bytes 0-1",
        ] {
            assert_eq!(parse(value, 1000), None, "{value}");
        }
        let many = format!("bytes={}", vec!["0-0"; MAX_RANGES + 1].join(","));
        assert_eq!(parse(&many, 1000), None);
        assert_eq!(parse("bytes=0-1", 0), None);
    }

    #[test]
    fn numbers_beyond_everything_are_the_end() {
        let huge = "9".repeat(40);
        assert_eq!(parse(&format!("bytes=2-{huge}"), 10), Some(vec![(2, 10)]));
        assert_eq!(parse(&format!("bytes=-{huge}"), 10), Some(vec![(0, 10)]));
        assert_eq!(parse(&format!("bytes={huge}-"), 10), Some(vec![]));
    }

    #[test]
    fn what_overlaps_is_merged() {
        assert_eq!(
            parse("bytes=500-599,0-9", 1000),
            Some(vec![(500, 600), (0, 10)])
        );
        assert_eq!(
            parse("bytes=500-599,0-9,5-20", 1000),
            Some(vec![(0, 21), (500, 600)])
        );
        assert_eq!(parse("bytes=0-9,50-59", 1000), Some(vec![(0, 60)]));
    }

    #[test]
    fn multipart_has_the_length_it_says() {
        let RangeField::Parts(parts) = ByteRanges::parse(b"bytes=0-9,500-599", 1000) else {
            panic!("two parts");
        };
        let multipart = parts.multipart(Some("text/plain"), 7);
        let mut text = String::new();
        for (head, part) in multipart.parts() {
            text += &head;
            text += &"x".repeat(usize::try_from(part.end - part.start).unwrap());
        }
        text += &multipart.end();
        assert_eq!(text.len() as u64, multipart.content_length());
        assert!(text.starts_with(
            "--0000000000000007\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-9/1000\r\n\r\nxxxxxxxxxx\r\n--0000000000000007\r\n"
        ));
    }
}
