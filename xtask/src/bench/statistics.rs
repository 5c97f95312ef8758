//! Medians and spreads: a mean would let one disturbed round decide.

/// The middle of several rounds and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` without values; of an even number the median is between the two in the middle.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

/// A number with as many digits as can be told apart, and thousands separated.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        at_least if at_least >= 100.0 => 0,
        at_least if at_least >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain.split_once('.').unwrap_or((&plain, ""));
    let (sign, whole) = whole
        .strip_prefix('-')
        .map_or(("", whole), |whole| ("-", whole));
    let mut grouped = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !rest.is_empty() {
        grouped.push('.');
        grouped.push_str(rest);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_middle_of_an_odd_number() {
        let spread = Spread::of([30.0, 10.0, 20.0]).unwrap();
        assert_eq!(
            (spread.least, spread.median, spread.most),
            (10.0, 20.0, 30.0)
        );
    }

    #[test]
    fn takes_what_is_between_the_two_in_the_middle() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap().median, 2.5);
    }

    #[test]
    fn has_no_spread_without_values() {
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn writes_numbers_for_people() {
        let written = [0.0, 0.734, 23.04, 170.4, 52_345.6, 1_234_567.0, -1234.0].map(number);
        assert_eq!(
            written,
            [
                "0.00",
                "0.73",
                "23.0",
                "170",
                "52,346",
                "1,234,567",
                "-1,234"
            ]
        );
    }
}
