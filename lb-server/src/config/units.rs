//! Durations and sizes as they are written: `"1h30m"`, `"64KiB"`.

use std::time::Duration;

/// Units of a duration in nanoseconds, the longest first.
const DURATIONS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of a size in bytes.
const SIZES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads `"30s"`, `"250ms"`, `"1h30m"`; the error is the way out.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total: u64 = 0;
    // Each unit may stand once, and the larger first, so that "1m30m" is not silently 31 minutes.
    let mut smallest = u64::MAX;
    if rest.is_empty() {
        return Err(duration_help());
    }
    while !rest.is_empty() {
        let (digits, after) = split_digits(rest);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() && after.is_empty() && !digits.is_empty() && rest.len() == text.len() {
            return Err(bare_duration(text));
        }
        let count = digits.parse::<u64>().map_err(|_| duration_help())?;
        let (_, nanos) = DURATIONS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(duration_help)?;
        if *nanos >= smallest {
            return Err(duration_help());
        }
        smallest = *nanos;
        total = count
            .checked_mul(*nanos)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| "use at most `100000h`".to_owned())?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// What to write instead of a number without a unit.
pub(super) fn bare_duration(number: &str) -> String {
    format!("add a unit: \"{number}s\" for seconds, \"{number}ms\" for milliseconds")
}

fn duration_help() -> String {
    "write a whole number and a unit: \"250ms\", \"30s\", \"5m\", \"1h\", \"1h30m\"".to_owned()
}

/// Writes a duration so that [`parse_duration`] gives the same again.
pub(super) fn print_duration(duration: Duration) -> String {
    let mut rest = duration.as_nanos();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, nanos) in DURATIONS {
        let nanos = u128::from(nanos);
        if rest >= nanos {
            text.push_str(&format!("{}{unit}", rest / nanos));
            rest %= nanos;
        }
    }
    text
}

/// Reads `"64KiB"`, `"1MB"`, `"512B"` as bytes; the error is the way out.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let (digits, unit) = split_digits(text);
    if unit.is_empty() && !digits.is_empty() {
        return Err(bare_size(text));
    }
    let help =
        || "write a whole number and a unit: \"512B\", \"64KiB\", \"8MiB\", \"1MB\"".to_owned();
    let count = digits.parse::<u64>().map_err(|_| help())?;
    let (_, bytes) = SIZES
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(help)?;
    count
        .checked_mul(*bytes)
        .ok_or_else(|| "use at most `2147483647B`".to_owned())
}

/// What to write instead of a number without a unit.
pub(super) fn bare_size(number: &str) -> String {
    match number.parse::<u64>() {
        Ok(bytes) => format!("add a unit: \"{}\"", print_size(bytes)),
        Err(_) => format!("add a unit: \"{number}B\""),
    }
}

/// Writes a size so that [`parse_size`] gives the same again.
pub(super) fn print_size(bytes: u64) -> String {
    let binary = &SIZES[..3];
    binary
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or_else(
            || format!("{bytes}B"),
            |(name, unit)| format!("{}{name}", bytes / unit),
        )
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_durations() {
        let read = |text| parse_duration(text).ok();
        assert_eq!(read("30s"), Some(Duration::from_secs(30)));
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(read("0s"), Some(Duration::ZERO));
        for wrong in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1m1h",
            "1m30m",
            "30 s",
            "5x",
            "99999999999h",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reads_sizes() {
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("1KB"), Ok(1_000));
        assert_eq!(parse_size("8MiB"), Ok(8 << 20));
        for wrong in ["", "64", "KiB", "64kb", "-1B", "1.5MiB", "99999999999GiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn durations_survive_printing(nanos in any::<u64>()) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&print_duration(duration)), Ok(duration));
        }

        #[test]
        fn sizes_survive_printing(bytes in any::<u64>()) {
            prop_assert_eq!(parse_size(&print_size(bytes)), Ok(bytes));
        }

        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
