//! Lines of text with colours, which are told apart until it is known who reads them.

use std::fmt::Write as _;

/// What a piece of text means, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Strong,
    Faint,
    Good,
    Warn,
    Bad,
    /// The row or the column that is chosen.
    Chosen,
}

/// A line made of pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pieces: Vec<(Look, String)>,
}

impl Look {
    /// As a terminal understands it (ECMA-48 §8.3.117).
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Chosen => "7",
        }
    }
}

impl Line {
    /// A line of one piece.
    pub(crate) fn of(look: Look, text: &str) -> Self {
        Self::default().with(look, text)
    }

    /// Adds a piece. Names and reasons come from elsewhere: what would steer the terminal is shown
    /// as a replacement character.
    #[must_use]
    pub(crate) fn with(mut self, look: Look, text: &str) -> Self {
        let is_unseen = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        let shown = |c| if is_unseen(c) { '\u{fffd}' } else { c };
        self.pieces.push((look, text.chars().map(shown).collect()));
        self
    }

    /// Adds plain text.
    #[must_use]
    pub(crate) fn plain(self, text: &str) -> Self {
        self.with(Look::Plain, text)
    }

    /// Without what does not fit into `width` columns; an ellipsis tells that there was more.
    #[must_use]
    pub(crate) fn fit(mut self, width: usize) -> Self {
        let long = |pieces: &[(Look, String)]| -> usize {
            pieces.iter().map(|(_, text)| text.chars().count()).sum()
        };
        if long(&self.pieces) <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        let mut look = Look::Plain;
        self.pieces.retain_mut(|(piece, text)| {
            let is_kept = left > 0;
            if is_kept {
                *text = text.chars().take(left).collect();
                left -= text.chars().count();
                look = *piece;
            }
            is_kept
        });
        if width > 0 {
            self.pieces.push((look, "…".to_owned()));
        }
        self
    }

    /// The text, with its looks for a terminal or without.
    pub(crate) fn render(&self, colours: bool) -> String {
        let mut rendered = String::new();
        for (look, text) in &self.pieces {
            if colours && *look != Look::Plain {
                // Writing into a string cannot fail.
                let _ = write!(rendered, "\u{1b}[{}m{text}\u{1b}[0m", look.code());
            } else {
                rendered.push_str(text);
            }
        }
        if colours {
            rendered
        } else {
            rendered.trim_end().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_it_ends_to_fit() {
        let line = Line::of(Look::Good, "ready").plain(" backend");
        assert_eq!(line.clone().fit(13).render(false), "ready backend");
        assert_eq!(line.clone().fit(8).render(false), "ready b…");
        assert_eq!(line.clone().fit(5).render(false), "read…");
        assert_eq!(line.clone().fit(1).render(false), "…");
        assert_eq!(line.fit(0).render(false), "");
    }

    #[test]
    fn nothing_that_is_shown_steers_the_terminal() {
        let line = Line::of(Look::Bad, "\u{1b}[2J\r\nx\u{202e}").fit(80);
        let shown = "\u{fffd}[2J\u{fffd}\u{fffd}x\u{fffd}";
        assert_eq!(line.render(false), shown);
        assert_eq!(line.render(true), format!("\u{1b}[1;31m{shown}\u{1b}[0m"));
    }
}
