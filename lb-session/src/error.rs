//! What can be wrong about parameters and values.

use std::error::Error;
use std::fmt;

/// Why parameters, a value or a stored record were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionError {
    /// A cookie's name is empty or contains what RFC 9110 §5.6.2 forbids in a token.
    CookieName(String),
    /// A cookie's attributes do not fit its name or each other; the text says which.
    CookieAttributes(&'static str),
    /// The path or the domain of a cookie contains what would end the attribute.
    CookieAttribute(String),
    /// A secret is shorter than [`Secrets::MIN_BYTES`](crate::Secrets::MIN_BYTES); contains its length.
    ShortSecret(usize),
    /// No secret, or more than [`Secrets::MAX`](crate::Secrets::MAX); contains their number.
    SecretCount(usize),
    /// A key is empty or longer than 255 bytes; contains its length.
    Key(usize),
    /// The session would take more bytes than its bound, which is contained.
    TooLarge(usize),
    /// The bytes are not a record that this version has written.
    Malformed,
    /// A value could not be turned into JSON, or back into the type asked for.
    #[cfg(feature = "serde")]
    Json(String),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CookieName(name) => {
                write!(f, "`{}` is no name for a cookie", name.escape_debug())
            }
            Self::CookieAttributes(text) => f.write_str(text),
            Self::CookieAttribute(text) => write!(
                f,
                "`{}` cannot stand in an attribute of a cookie",
                text.escape_debug()
            ),
            Self::ShortSecret(bytes) => {
                let least = crate::Secrets::MIN_BYTES;
                write!(f, "a secret must have at least {least} bytes, got {bytes}")
            }
            Self::SecretCount(count) => {
                let most = crate::Secrets::MAX;
                write!(f, "there must be 1 to {most} secrets, got {count}")
            }
            Self::Key(bytes) => write!(f, "a key must have 1 to 255 bytes, got {bytes}"),
            Self::TooLarge(bytes) => write!(f, "a session holds at most {bytes} bytes"),
            Self::Malformed => f.write_str("the stored session is malformed"),
            #[cfg(feature = "serde")]
            Self::Json(text) => f.write_str(text),
        }
    }
}

impl Error for SessionError {}
