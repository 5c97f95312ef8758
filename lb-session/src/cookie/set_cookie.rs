//! `SetCookie`: a `Set-Cookie` field ready to be written, checked against what browsers demand of its name.

use std::time::Duration;

use crate::error::SessionError;

/// Longer lifetimes are cut by browsers (RFC 6265bis §5.5).
const MAX_AGE_SECONDS: u64 = 400 * 24 * 60 * 60;

/// Which requests from other sites carry a cookie (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SameSite {
    /// None of them.
    Strict,
    /// Only a client's move to this site by a link (the default).
    #[default]
    Lax,
    /// All of them. Needs `Secure`.
    None,
}

impl SameSite {
    /// The word of the attribute, `Strict` for instance.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// A cookie's name and attributes, from which `Set-Cookie` fields are written.
///
/// It begins as `Path=/; Secure; HttpOnly; SameSite=Lax` without a domain, which is what a name that begins with
/// `__Host-` demands: then no other host and no unencrypted response can set the cookie.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use lb_session::cookie::{SameSite, SetCookie};
///
/// let cookie = SetCookie::try_new("__Host-lb_session")?.same_site(SameSite::Strict)?;
/// assert_eq!(
///     cookie.write("abc", Some(Duration::from_secs(60))),
///     "__Host-lb_session=abc; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Strict",
/// );
/// # Ok::<(), lb_session::SessionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCookie {
    name: String,
    path: String,
    domain: Option<String>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    /// What stands behind the value, kept ready.
    attributes: String,
}

impl SetCookie {
    /// Checks a name.
    ///
    /// # Errors
    /// Fails unless the name is a token (RFC 9110 §5.6.2).
    pub fn try_new(name: impl Into<String>) -> Result<Self, SessionError> {
        let name = name.into();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(SessionError::CookieName(name));
        }
        Self {
            name,
            path: "/".to_owned(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            attributes: String::new(),
        }
        .checked()
    }

    /// Sends the cookie with requests below this path only.
    ///
    /// # Errors
    /// Fails if the path does not begin with `/` or contains what ends an attribute, and for a `__Host-` name unless it
    /// is `/`.
    pub fn path(mut self, path: impl Into<String>) -> Result<Self, SessionError> {
        self.path = path.into();
        self.checked()
    }

    /// Sends the cookie to all hosts of this domain, and lets each of them set it.
    ///
    /// # Errors
    /// Fails if the domain is empty or contains what ends an attribute, and for a `__Host-` name.
    pub fn domain(mut self, domain: impl Into<String>) -> Result<Self, SessionError> {
        self.domain = Some(domain.into());
        self.checked()
    }

    /// Sets and sends the cookie over plain connections too.
    ///
    /// # Errors
    /// Fails for names that begin with `__Host-`, `__Secure-`, `__Http-` or `__Host-Http-`, and with [`SameSite::None`].
    pub fn insecure(mut self) -> Result<Self, SessionError> {
        self.secure = false;
        self.checked()
    }

    /// Lets scripts in the page read the cookie.
    ///
    /// # Errors
    /// Fails for names that begin with `__Http-` or `__Host-Http-`.
    pub fn script_readable(mut self) -> Result<Self, SessionError> {
        self.http_only = false;
        self.checked()
    }

    /// Which requests from other sites carry the cookie.
    ///
    /// # Errors
    /// Fails for [`SameSite::None`] after [`insecure`](Self::insecure), which browsers refuse.
    pub fn same_site(mut self, same_site: SameSite) -> Result<Self, SessionError> {
        self.same_site = same_site;
        self.checked()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A field that sets the cookie, for this long or until the browser is closed.
    ///
    /// The value must consist of what RFC 6265 §4.1.1 allows in one, which all values of this crate do; other bytes are
    /// left out, so that no value can end the field or add an attribute. A lifetime counts in whole seconds, 400 days
    /// at most.
    ///
    /// # Complexity
    /// One allocation.
    #[must_use]
    pub fn write(&self, value: &str, max_age: Option<Duration>) -> String {
        let length = self.name.len() + value.len() + self.attributes.len() + 24;
        let mut field = String::with_capacity(length);
        field.push_str(&self.name);
        field.push('=');
        field.extend(value.chars().filter(|&letter| is_value(letter)));
        if let Some(max_age) = max_age {
            field.push_str("; Max-Age=");
            field.push_str(&max_age.as_secs().min(MAX_AGE_SECONDS).to_string());
        }
        field.push_str(&self.attributes);
        field
    }

    /// A field that takes the cookie away.
    #[must_use]
    pub fn removal(&self) -> String {
        self.write("", Some(Duration::ZERO))
    }

    fn checked(mut self) -> Result<Self, SessionError> {
        let begins = |prefix: &str| {
            // Browsers compare prefixes without regard to case (RFC 6265bis §5.7).
            let start = self.name.as_bytes().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let (host, http) = (
            begins("__Host-"),
            begins("__Http-") || begins("__Host-Http-"),
        );
        for text in [Some(&self.path), self.domain.as_ref()]
            .into_iter()
            .flatten()
        {
            if text.is_empty()
                || !text
                    .chars()
                    .all(|letter| matches!(letter, ' '..='~') && letter != ';')
            {
                return Err(SessionError::CookieAttribute(text.clone()));
            }
        }
        let wrong = if !self.path.starts_with('/') {
            "the path of a cookie must begin with `/`"
        } else if host && (self.path != "/" || self.domain.is_some()) {
            "a cookie whose name begins with `__Host-` must have the path `/` and no domain"
        } else if !self.secure && (host || http || begins("__Secure-")) {
            "a cookie whose name begins with `__Host-`, `__Secure-` or `__Http-` must be secure"
        } else if !self.http_only && http {
            "a cookie whose name begins with `__Http-` must be hidden from scripts"
        } else if !self.secure && self.same_site == SameSite::None {
            "a cookie with `SameSite=None` must be secure"
        } else {
            self.attributes = self.render();
            return Ok(self);
        };
        Err(SessionError::CookieAttributes(wrong))
    }

    fn render(&self) -> String {
        let mut attributes = format!("; Path={}", self.path);
        if let Some(domain) = &self.domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        if self.secure {
            attributes.push_str("; Secure");
        }
        if self.http_only {
            attributes.push_str("; HttpOnly");
        }
        attributes.push_str("; SameSite=");
        attributes.push_str(self.same_site.as_str());
        attributes
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(letter: char) -> bool {
    letter.is_ascii_graphic() && !matches!(letter, '"' | ',' | ';' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> SetCookie {
        SetCookie::try_new(name).unwrap()
    }

    #[test]
    fn writes_what_the_reader_of_others_reads() {
        let ours = named("a")
            .domain("example.org")
            .unwrap()
            .path("/x")
            .unwrap();
        let field = ours.write("v", Some(Duration::from_millis(61_900)));
        let read = cookie::Cookie::parse(field).unwrap();
        assert_eq!((read.name(), read.value()), ("a", "v"));
        assert_eq!(read.max_age().map(|age| age.whole_seconds()), Some(61));
        assert_eq!(
            (read.path(), read.domain()),
            (Some("/x"), Some("example.org"))
        );
        assert_eq!((read.secure(), read.http_only()), (Some(true), Some(true)));
        assert_eq!(read.same_site(), Some(cookie::SameSite::Lax));
    }

    #[test]
    fn a_removal_is_of_the_same_name_and_path() {
        let cookie = named("a").path("/x").unwrap();
        assert_eq!(
            cookie.removal(),
            "a=; Max-Age=0; Path=/x; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn names_that_are_no_tokens_are_refused() {
        for name in ["", "a b", "a=", "a;", "ä", "a\r\nb", "a,", "\"a\"", "a\0"] {
            let refused = SetCookie::try_new(name).unwrap_err();
            assert_eq!(refused, SessionError::CookieName(name.to_owned()));
        }
    }

    #[test]
    fn a_prefix_demands_its_attributes() {
        for name in ["__Host-a", "__host-a"] {
            assert!(named(name).insecure().is_err());
            assert!(named(name).path("/x").is_err());
            assert!(named(name).domain("example.org").is_err());
            assert!(named(name).script_readable().is_ok());
        }
        assert!(named("__Secure-a").insecure().is_err());
        assert!(named("__Secure-a").path("/x").is_ok());
        assert!(named("__Host-Http-a").script_readable().is_err());
        assert!(named("__Http-a").script_readable().is_err());
        assert!(
            named("a")
                .insecure()
                .unwrap()
                .same_site(SameSite::None)
                .is_err()
        );
        assert!(named("a").insecure().unwrap().script_readable().is_ok());
    }

    #[test]
    fn nothing_ends_the_field_or_adds_to_it() {
        for text in ["", "/a;b", "/a\r\nSet-Cookie: b=c", "/\u{e4}", "/\0"] {
            assert!(named("a").path(text).is_err(), "{text:?}");
            assert!(named("a").domain(text).is_err(), "{text:?}");
        }
        let field = named("a").write("x; Domain=evil\r\ny\u{e4}\"", None);
        assert_eq!(
            field,
            "a=xDomain=evily; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn lifetimes_are_cut_where_browsers_cut_them() {
        let field = named("a").write("", Some(Duration::MAX));
        assert!(field.contains("; Max-Age=34560000;"), "{field}");
    }
}
