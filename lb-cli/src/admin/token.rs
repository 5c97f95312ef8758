//! What the admin API wants to be shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use http::HeaderValue;

/// Beyond this a file is no token but a mistake.
const MOST: u64 = 4096;

/// A bearer token, as the field that carries it.
#[derive(Clone)]
pub(crate) struct Token(HeaderValue);

impl Token {
    /// Takes a text; blanks around it are not part of it.
    ///
    /// # Errors
    ///
    /// It is empty, or has characters that no token has.
    pub(crate) fn new(text: &str) -> io::Result<Self> {
        let text = text.trim();
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let field = HeaderValue::try_from(format!("Bearer {text}"));
        match field {
            Ok(mut field) if is_token => {
                field.set_sensitive(true);
                Ok(Self(field))
            }
            _ => Err(io::Error::other(
                "a token is one word of printable characters",
            )),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or holds no token.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut text = String::new();
        File::open(path)?.take(MOST).read_to_string(&mut text)?;
        Self::new(&text)
    }

    /// The value of `Authorization`.
    pub(crate) fn field(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        let token = Token::new(" secret-word \n").unwrap();
        assert_eq!(token.field(), "Bearer secret-word");
        assert_eq!(
            format!("{token:?} {:?}", token.field()),
            "Token(..) Sensitive"
        );
        for wrong in ["", " \n", "two words", "a\r\nhost: b", "ü"] {
            assert!(Token::new(wrong).is_err(), "{wrong:?}");
        }
    }
}
