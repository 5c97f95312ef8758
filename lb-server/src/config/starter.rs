//! The files that `lb-cli init` writes.

use super::model::Config;

const SHORT_TOML: &str = include_str!("starter/short.toml");
const FULL_TOML: &str = include_str!("starter/full.toml");

impl Config {
    /// A commented configuration to begin with: the short form, or every key with its default.
    #[must_use]
    pub fn starter_toml(full: bool) -> &'static str {
        if full { FULL_TOML } else { SHORT_TOML }
    }

    /// As [`Config::starter_toml`], as JSON, which has no comments.
    ///
    /// # Panics
    /// Never: the text is fixed, and a test reads it.
    #[must_use]
    pub fn starter_json(full: bool) -> String {
        let tree: toml::Table = Self::starter_toml(full).parse().expect("a test reads it");
        let mut text = serde_json::to_string_pretty(&tree).expect("maps have string keys");
        text.push('\n');
        text
    }
}
