//! Statuses that a probe takes, as text.

use std::fmt;
use std::str::FromStr;

use super::error::ValueError;
use super::model::StatusRange;

impl StatusRange {
    /// Whether a status lies within.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

impl FromStr for StatusRange {
    type Err = ValueError;

    /// Reads `"204"` or `"200-399"`.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let status = |part: &str| {
            part.parse()
                .ok()
                .filter(|status| (100..=599).contains(status))
        };
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        match (status(from), status(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => Err(ValueError::new(
                format!("`{text}` is no status and no range of them"),
                "write \"204\" or \"200-399\", within 100 to 599",
            )),
        }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(formatter, "{}", self.from)
        } else {
            write!(formatter, "{}-{}", self.from, self.to)
        }
    }
}
