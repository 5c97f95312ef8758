//! Passwords of URLs, kept out of what is shown.

/// The text with each password of a URL (`scheme://user:password@host`) as stars, one for each
/// character, so that a caret below it still points where it did.
pub(super) fn passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + "://".len());
        shown.push_str(before);
        let end = after
            .find(|letter: char| letter.is_whitespace() || "/?#\"'`,".contains(letter))
            .unwrap_or(after.len());
        let (authority, next) = after.split_at(end);
        match authority
            .rsplit_once('@')
            .and_then(|(user, host)| Some((user.split_once(':')?, host)))
        {
            Some(((user, password), host)) => {
                let stars = "*".repeat(password.chars().count());
                shown.push_str(&format!("{user}:{stars}@{host}"));
            }
            None => shown.push_str(authority),
        }
        rest = next;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::passwords;

    #[test]
    fn a_password_is_stars_and_nothing_else_changes() {
        for (text, shown) in [
            (
                "url = \"redis://lb:geheim@host:6379/0\"",
                "url = \"redis://lb:******@host:6379/0\"",
            ),
            (
                "`redis://:pä@h` and `http://u:p@q@h/x`",
                "`redis://:**@h` and `http://u:***@h/x`",
            ),
            ("https://user@host:80/a:b@c", "https://user@host:80/a:b@c"),
            ("http://host:3000, a:b@c", "http://host:3000, a:b@c"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(passwords(text), shown);
        }
    }
}
