//! The document as it is sent.

use super::*;

#[test]
fn hashes_as_policies_have_it() {
    // `openssl dgst -sha256 -binary | base64` of what is between the quotes.
    assert_eq!(hash(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_eq!(hash("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

#[test]
fn the_document_is_whole() {
    let text = document();
    assert!(!text.contains("{style}") && !text.contains("{script}"));
    let between = |begin: &str, end: &str| {
        let (_, rest) = text.split_once(begin).unwrap();
        rest.split_once(end).unwrap().0
    };
    // An end tag within would end it early, and the policy would refuse the half.
    assert_eq!(between("<style>", "</style>"), STYLE);
    assert_eq!(between("<script type=\"module\">", "</script>"), SCRIPT);
}

#[test]
fn nothing_is_external_and_nothing_is_read_as_markup() {
    for text in [DOCUMENT, STYLE, SCRIPT] {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "@import",
            "url(",
            "src=",
            " style=",
            " onclick=",
        ] {
            assert!(!text.contains(word), "{word}");
        }
        for address in text.split("http").skip(1) {
            // The name of SVG's elements, an example, and what the page itself asks about.
            let known = [
                "://www.w3.org/2000/svg",
                "s://example.com/",
                "s://localhost$",
            ];
            let is_address = address.starts_with("://") || address.starts_with("s://");
            let is_known = known.iter().any(|known| address.starts_with(known));
            assert!(!is_address || is_known, "{address:.60}");
        }
    }
}

/// The colours of one theme, by their names.
fn colours(block: &str) -> Vec<(&str, [f64; 3])> {
    let declared = block.split(';').filter_map(|line| {
        let (name, value) = line.split_once(": #")?;
        let name = name.rsplit("--").next()?;
        let channel = |at: usize| {
            let digits = value.get(at..at + 2)?;
            let share = f64::from(u8::from_str_radix(digits, 16).ok()?) / 255.0;
            Some(if share <= 0.04045 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            })
        };
        Some((name, [channel(0)?, channel(2)?, channel(4)?]))
    });
    declared.collect()
}

/// WCAG 2.2, contrast ratio.
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn everything_can_be_told_from_what_it_stands_on() {
    // WCAG 2.2 success criteria 1.4.3 (text) and 1.4.11 (what is drawn).
    const GROUNDS: [&str; 4] = ["ground", "box", "raised", "bad-ground"];
    const TEXTS: [&str; 7] = ["text", "faint", "accent", "good", "warn", "bad", "calm"];
    const DRAWN: [&str; 8] = ["requests", "p50", "p90", "p99", "s2", "s3", "s4", "s5"];
    let themes: Vec<_> = STYLE
        .split(":root {")
        .skip(1)
        .map(|rest| colours(rest.split('}').next().unwrap()))
        .collect();
    assert_eq!(themes.len(), 2);
    for theme in themes {
        let find = |wanted: &str| {
            let found = theme.iter().find(|(name, _)| *name == wanted);
            found.unwrap_or_else(|| panic!("no colour {wanted}")).1
        };
        for ground in GROUNDS {
            for text in TEXTS {
                let ratio = contrast(find(text), find(ground));
                assert!(ratio >= 4.5, "{text} on {ground}: {ratio:.2}");
            }
        }
        for line in DRAWN {
            let ratio = contrast(find(line), find("box"));
            assert!(ratio >= 3.0, "{line}: {ratio:.2}");
        }
        assert!(contrast(find("on-accent"), find("accent")) >= 4.5);
    }
}
