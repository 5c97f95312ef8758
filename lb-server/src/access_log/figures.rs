//! Numbers and dates as text, without the machinery of `format!`: a line has twenty of them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Appends a whole number.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    padded(out, value, 1);
}

/// Appends a whole number with at least so many digits.
fn padded(out: &mut Vec<u8>, mut value: u64, width: usize) {
    // 20 digits hold every u64.
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    let start = start.min(digits.len() - width);
    out.extend_from_slice(&digits[start..]);
}

/// Appends milliseconds with three decimals; `-1` for what was not reached.
pub(crate) fn millis(out: &mut Vec<u8>, value: Option<Duration>) {
    let Some(value) = value else {
        return out.extend_from_slice(b"-1");
    };
    let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    number(out, micros / 1000);
    out.push(b'.');
    padded(out, micros % 1000, 3);
}

/// Appends whole milliseconds; `-1` for what was not reached.
pub(crate) fn whole_millis(out: &mut Vec<u8>, value: Option<Duration>) {
    match value {
        Some(value) => number(out, u64::try_from(value.as_millis()).unwrap_or(u64::MAX)),
        None => out.extend_from_slice(b"-1"),
    }
}

/// A moment in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u64,
    month: u64,
    day: u64,
    seconds_of_day: u64,
    millis: u64,
}

impl Moment {
    /// What lies before 1970 is taken for its first moment.
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (year, month, day) = date(since.as_secs() / 86_400);
        Self {
            year,
            month,
            day,
            seconds_of_day: since.as_secs() % 86_400,
            millis: u64::from(since.subsec_millis()),
        }
    }

    /// `2026-11-23T15:58:01.123Z`, RFC 3339.
    pub(crate) fn rfc3339(&self, out: &mut Vec<u8>) {
        padded(out, self.year, 4);
        out.push(b'-');
        padded(out, self.month, 2);
        out.push(b'-');
        padded(out, self.day, 2);
        out.push(b'T');
        self.time_with_millis(out);
        out.push(b'Z');
    }

    /// `23/Nov/2026:15:58:01 +0000`, as the common log format has it.
    pub(crate) fn common(&self, out: &mut Vec<u8>) {
        self.day_first(out);
        self.time(out);
        out.extend_from_slice(b" +0000");
    }

    /// `23/Nov/2026:15:58:01.123`, as HAProxy has it.
    pub(crate) fn haproxy(&self, out: &mut Vec<u8>) {
        self.day_first(out);
        self.time_with_millis(out);
    }

    /// `15:58:01.123`
    pub(crate) fn time_with_millis(&self, out: &mut Vec<u8>) {
        self.time(out);
        out.push(b'.');
        padded(out, self.millis, 3);
    }

    fn time(&self, out: &mut Vec<u8>) {
        padded(out, self.seconds_of_day / 3600, 2);
        out.push(b':');
        padded(out, self.seconds_of_day / 60 % 60, 2);
        out.push(b':');
        padded(out, self.seconds_of_day % 60, 2);
    }

    fn day_first(&self, out: &mut Vec<u8>) {
        padded(out, self.day, 2);
        out.push(b'/');
        let names = MONTHS.iter().zip(1..);
        for (name, _) in names.filter(|(_, number)| *number == self.month) {
            out.extend_from_slice(*name);
        }
        out.push(b'/');
        padded(out, self.year, 4);
        out.push(b':');
    }
}

/// Year, month and day of a day since 1970: the civil calendar counted from March, so that the leap day comes last
/// (Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (year_of_era + era * 400 + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_numbers_and_times() {
        for (value, shown) in [
            (0, "0"),
            (7, "7"),
            (10, "10"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(text(|out| number(out, value)), shown);
        }
        for (micros, shown) in [
            (0, "0.000"),
            (1, "0.001"),
            (1500, "1.500"),
            (61_000_042, "61000.042"),
        ] {
            assert_eq!(
                text(|out| millis(out, Some(Duration::from_micros(micros)))),
                shown
            );
        }
        assert_eq!(text(|out| millis(out, None)), "-1");
        assert_eq!(
            text(|out| whole_millis(out, Some(Duration::from_micros(1999)))),
            "1"
        );
        assert_eq!(text(|out| whole_millis(out, None)), "-1");
    }

    #[test]
    fn writes_a_moment_in_each_form() {
        let moment = Moment::of(UNIX_EPOCH + Duration::from_millis(951_782_399_007));
        assert_eq!(text(|out| moment.rfc3339(out)), "2000-02-28T23:59:59.007Z");
        assert_eq!(text(|out| moment.common(out)), "28/Feb/2000:23:59:59 +0000");
        assert_eq!(text(|out| moment.haproxy(out)), "28/Feb/2000:23:59:59.007");
        let before = Moment::of(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(text(|out| before.rfc3339(out)), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        /// `httpdate` knows the years up to 9999.
        #[test]
        fn agrees_with_a_library_about_the_date(seconds in 0_u64..253_402_300_799) {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let theirs = httpdate::fmt_http_date(time);
            let ours = text(|out| Moment::of(time).common(out));
            let ours = ours.replace('/', " ").replacen(':', " ", 1).replace(" +0000", " GMT");
            prop_assert_eq!(&theirs[5..], ours);
        }
    }
}
