//! Numbers as people read them, in few columns.

/// A count: `812`, `4.5k`, `12M`; never more than five columns.
pub(crate) fn count(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let exact = value as f64;
    if value < 10_000 {
        value.to_string()
    } else {
        scaled(exact)
    }
}

/// A rate a second: `0`, `0.4`, `37`, `4.5k`.
pub(crate) fn rate(value: f64) -> String {
    if value <= 0.0 || !value.is_finite() {
        "0".to_owned()
    } else if value < 9.95 {
        format!("{value:.1}")
    } else if value < 9999.5 {
        format!("{value:.0}")
    } else {
        scaled(value)
    }
}

fn scaled(mut value: f64) -> String {
    for unit in ["k", "M", "G", "T"] {
        value /= 1000.0;
        if value < 9.95 {
            return format!("{value:.1}{unit}");
        }
        if value < 999.5 {
            return format!("{value:.0}{unit}");
        }
    }
    format!("{value:.0}T")
}

/// A latency given in milliseconds: `<0.1ms`, `0.4ms`, `37ms`, `1.2s`; nothing measured is `-`.
pub(crate) fn latency(milliseconds: f64) -> String {
    if milliseconds <= 0.0 || !milliseconds.is_finite() {
        "-".to_owned()
    } else if milliseconds < 0.05 {
        "<0.1ms".to_owned()
    } else if milliseconds < 9.95 {
        format!("{milliseconds:.1}ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0}ms")
    } else if milliseconds < 9950.0 {
        format!("{:.1}s", milliseconds / 1000.0)
    } else {
        age(milliseconds / 1000.0)
    }
}

/// A time given in seconds by its largest unit: `4s`, `12m`, `3h`, `9d`.
pub(crate) fn age(seconds: f64) -> String {
    // Clocks of two machines differ: what is yet to come has just been.
    let seconds = seconds.max(0.0);
    let units = [(60.0, "s", 1.0), (60.0, "m", 60.0), (48.0, "h", 3600.0)];
    for (most, unit, length) in units {
        if seconds / length < most {
            return format!("{:.0}{unit}", (seconds / length).floor());
        }
    }
    format!("{:.0}d", (seconds / 86_400.0).floor())
}

/// Bytes: `812B`, `4.5kB`, `12MB`.
pub(crate) fn bytes(value: u64) -> String {
    if value < 1000 {
        return format!("{value}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let exact = value as f64;
    format!("{}B", scaled(exact))
}

/// A share of a whole in percent: `0%`, `0.02%`, `12%`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0%".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let share = part as f64 * 100.0 / whole as f64;
    if share >= 9.95 {
        format!("{share:.0}%")
    } else if share >= 0.095 {
        format!("{share:.1}%")
    } else if share >= 0.01 {
        format!("{share:.2}%")
    } else {
        "<0.01%".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_rounded_to_what_counts() {
        let counts = [0, 9999, 10_000, 12_345, 994_999, 1_000_000, u64::MAX];
        let shown = counts.map(count);
        assert_eq!(shown[..4], ["0", "9999", "10k", "12k"]);
        assert_eq!(shown[4..6], ["995k", "1.0M"]);
        let rates = [0.0, f64::NAN, 0.04, 0.4, 9.96, 9999.0, 10_000.0, 1.5e6];
        let shown = rates.map(rate);
        assert_eq!(shown, ["0", "0", "0.0", "0.4", "10", "9999", "10k", "1.5M"]);
        assert_eq!(
            [0.0, 0.01, 0.42, 37.2, 999.6, 9949.0, 12_000.0].map(latency),
            ["-", "<0.1ms", "0.4ms", "37ms", "1.0s", "9.9s", "12s"]
        );
        assert_eq!(
            [-5.0, 0.9, 59.9, 60.0, 3600.0, 172_799.0, 172_800.0].map(age),
            ["0s", "0s", "59s", "1m", "1h", "47h", "2d"]
        );
        assert_eq!(
            [0, 999, 1500, 64_000_000].map(bytes),
            ["0B", "999B", "1.5kB", "64MB"]
        );
        assert_eq!(percent(1, 0), "0%");
        assert_eq!(
            [0, 1, 20, 950, 5000].map(|n| percent(n, 10_000))[..],
            ["0%", "0.01%", "0.2%", "9.5%", "50%"]
        );
        assert_eq!(percent(1, 1_000_000), "<0.01%");
    }
}
