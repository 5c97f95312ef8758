//! HTTP dates: the three forms of RFC 9110 §5.6.7, read strictly, and the one that is written.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECONDS: i64 = 86_400;
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const DAYS: [&[u8]; 7] = [
    b"Sunday",
    b"Monday",
    b"Tuesday",
    b"Wednesday",
    b"Thursday",
    b"Friday",
    b"Saturday",
];

/// A date as HTTP writes it: a whole second.
///
/// Displays as IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// # Examples
/// ```
/// use lb_cache::HttpDate;
///
/// let date = HttpDate::parse(b"Sun, 06 Nov 1994 08:49:37 GMT", HttpDate::EPOCH);
/// assert_eq!(date.map(HttpDate::seconds), Some(784_111_777));
/// assert_eq!(HttpDate::parse(b"Sun, 6 Nov 1994 08:49:37 UTC", HttpDate::EPOCH), None);
/// ```
///
/// # References
/// RFC 9110 §5.6.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpDate(i64);

impl HttpDate {
    /// Midnight of 1 January 1970.
    pub const EPOCH: Self = Self(0);

    /// Reads a date in one of the three forms: IMF-fixdate, RFC 850 and asctime.
    ///
    /// The grammar is applied strictly, because an `Expires` in doubt has to count as expired; only the case of names is
    /// ignored. `now` decides the century of RFC 850's two digits: a date more than fifty years ahead lies in the past.
    ///
    /// # Complexity
    /// O(1): anything longer than the longest form is refused unread.
    pub fn parse(value: &[u8], now: Self) -> Option<Self> {
        match value.len() {
            24 => asctime(value),
            29 if value[3] == b',' => imf_fixdate(value),
            30..=33 => rfc850(value, now),
            _ => None,
        }
    }

    pub(crate) const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since [`HttpDate::EPOCH`], negative before it.
    pub const fn seconds(self) -> i64 {
        self.0
    }

    /// How much later `self` is than `earlier`; zero if it is not.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl From<SystemTime> for HttpDate {
    /// The second that `time` lies in; what is before the epoch is the epoch.
    fn from(time: SystemTime) -> Self {
        let seconds = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Year 9999 is the last that four digits can tell.
        let seconds = self.0.clamp(0, 253_402_300_799);
        let (days, second) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
        let (year, month, day) = civil(days);
        let name = |names: &[u8]| -> [char; 3] { [0, 1, 2].map(|at| char::from(names[at])) };
        // The epoch was a Thursday.
        let weekday = DAYS[usize::try_from((days + 4) % 7).unwrap_or(0)];
        let [a, b, c] = name(weekday);
        let [d, e, g] = name(MONTHS[usize::try_from(month - 1).unwrap_or(0)]);
        write!(
            f,
            "{a}{b}{c}, {day:02} {d}{e}{g} {year:04} {:02}:{:02}:{:02} GMT",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(value: &[u8]) -> Option<HttpDate> {
    day_name(&value[..3], 3)?;
    expect(&value[3..5], b", ")?;
    expect(&value[7..8], b" ")?;
    expect(&value[11..12], b" ")?;
    expect(&value[16..17], b" ")?;
    expect(&value[25..], b" GMT")?;
    let date = days(
        digits(&value[12..16])?,
        month(&value[8..11])?,
        digits(&value[5..7])?,
    )?;
    Some(HttpDate(date + time(&value[17..25])?))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(value: &[u8], now: HttpDate) -> Option<HttpDate> {
    let comma = value.iter().position(|&byte| byte == b',')?;
    day_name(&value[..comma], usize::MAX)?;
    let rest = &value[comma..];
    if rest.len() != 24 {
        return None;
    }
    expect(&rest[..2], b", ")?;
    expect(&rest[4..5], b"-")?;
    expect(&rest[8..9], b"-")?;
    expect(&rest[11..12], b" ")?;
    expect(&rest[20..], b" GMT")?;
    let (this_year, _, _) = civil(now.0.div_euclid(DAY_SECONDS));
    let mut year = this_year - this_year.rem_euclid(100) + digits(&rest[9..11])?;
    if year > this_year + 50 {
        year -= 100;
    } else if year <= this_year - 50 {
        year += 100;
    }
    let date = days(year, month(&rest[5..8])?, digits(&rest[2..4])?)?;
    Some(HttpDate(date + time(&rest[12..20])?))
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(value: &[u8]) -> Option<HttpDate> {
    day_name(&value[..3], 3)?;
    expect(&value[3..4], b" ")?;
    expect(&value[7..8], b" ")?;
    expect(&value[10..11], b" ")?;
    expect(&value[19..20], b" ")?;
    let day = if value[8] == b' ' {
        digits(&value[9..10])?
    } else {
        digits(&value[8..10])?
    };
    let date = days(digits(&value[20..])?, month(&value[4..7])?, day)?;
    Some(HttpDate(date + time(&value[11..19])?))
}

fn expect(value: &[u8], text: &[u8]) -> Option<()> {
    value.eq_ignore_ascii_case(text).then_some(())
}

fn day_name(value: &[u8], most: usize) -> Option<()> {
    let known = |name: &&[u8]| value.eq_ignore_ascii_case(&name[..name.len().min(most)]);
    DAYS.iter().any(known).then_some(())
}

fn month(value: &[u8]) -> Option<i64> {
    let at = MONTHS
        .iter()
        .position(|name| value.eq_ignore_ascii_case(*name))?;
    i64::try_from(at + 1).ok()
}

fn digits(value: &[u8]) -> Option<i64> {
    value.iter().try_fold(0, |number, &byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// `08:49:37`, with the leap second that the grammar allows.
fn time(value: &[u8]) -> Option<i64> {
    expect(&value[2..3], b":")?;
    expect(&value[5..6], b":")?;
    let (hour, minute, second) = (
        digits(&value[..2])?,
        digits(&value[3..5])?,
        digits(&value[6..])?,
    );
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Seconds from the epoch to midnight of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day < 1 || day > last {
        return None;
    }
    // Years that begin in March have their leap day last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468;
    Some(days * DAY_SECONDS)
}

/// Year, month and day of a number of days since the epoch: the inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01, the year that two digits are read in.
    const NOW: HttpDate = HttpDate(1_767_225_600);

    fn parse(text: &str) -> Option<i64> {
        HttpDate::parse(text.as_bytes(), NOW).map(HttpDate::seconds)
    }

    #[test]
    fn reads_the_three_forms_alike() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn two_digits_lie_within_fifty_years() {
        assert_eq!(parse("Friday, 01-Jan-76 00:00:00 GMT"), Some(3_345_062_400));
        assert_eq!(parse("Saturday, 01-Jan-77 00:00:00 GMT"), Some(220_924_800));
    }

    #[test]
    fn refuses_whatever_the_grammar_does() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 06 Nov 1994 08:49:61 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Xyz, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT+",
            "Sund, 06-Nov-94 08:49:37 GMT  ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for seconds in [0, 784_111_777, 951_782_400, 1_767_225_599, 253_402_300_799] {
            let text = HttpDate(seconds).to_string();
            assert_eq!(parse(&text), Some(seconds), "{text}");
        }
    }
}
