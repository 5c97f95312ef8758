use serde_json::json;

use super::*;
use crate::operate::status::sample::sample;

fn view() -> View {
    let mut view = View::new("127.0.0.1:9900".to_owned());
    view.status(sample());
    view.change(
        serde_json::from_value(json!({
            "at": sample().now - 3.0, "kind": "health", "pool": "api",
            "backend": "http://10.0.0.2:3000", "event": "unhealthy",
            "details": "backend http://10.0.0.2:3000 of pool api is unhealthy\u{1b}[2J",
            "caller": null,
        }))
        .unwrap(),
    );
    view
}

fn drawn(view: &mut View, rows: usize, columns: usize) -> Vec<String> {
    let lines = view.lines(rows, columns);
    lines.iter().map(|line| line.render(false)).collect()
}

#[test]
fn a_screen_of_80_by_24_is_filled_and_not_overrun() {
    let lines = drawn(&mut view(), 24, 80);
    assert_eq!(lines.len(), 24);
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn any_screen_is_filled_exactly() {
    for rows in 1..40 {
        for columns in [1, 7, 40, 79, 131] {
            let lines = drawn(&mut view(), rows, columns);
            assert_eq!(lines.len(), rows);
            assert!(lines.iter().all(|line| line.chars().count() <= columns));
        }
    }
}

#[test]
fn keys_scroll_sort_hold_and_end() {
    let mut view = view();
    assert_eq!(view.press(Key::End, 16), After::Show);
    let end = drawn(&mut view, 16, 80).join("\n");
    assert!(end.contains("certificate public"), "{end}");
    assert_eq!(view.press(Key::Home, 16), After::Show);
    let top = drawn(&mut view, 16, 80).join("\n");
    assert!(top.contains("pool api") && !top.contains("certificate public"));

    let first = |view: &mut View| {
        let lines = drawn(view, 24, 80);
        let row = lines.iter().position(|line| line.contains("BACKEND"));
        lines[row.unwrap() + 1].clone()
    };
    assert!(first(&mut view).contains("10.0.0.1"));
    view.press(Key::Letter('r'), 24);
    assert!(first(&mut view).contains("7f9c"));
    view.press(Key::Letter('r'), 24);
    view.press(Key::Letter('s'), 24);
    assert!(first(&mut view).contains("7f9c"), "by name");

    view.press(Key::Letter(' '), 24);
    let mut later = sample();
    later.version = "0.2.0".to_owned();
    view.status(later.clone());
    assert!(drawn(&mut view, 24, 80)[0].contains("0.1.0"));
    view.press(Key::Letter(' '), 24);
    view.status(later);
    assert!(drawn(&mut view, 24, 80)[0].contains("0.2.0"));

    assert_eq!(view.press(Key::Letter('q'), 24), After::End);
    assert_eq!(view.press(Key::Interrupt, 24), After::End);
}

#[test]
fn a_server_that_is_gone_is_told_from_one_that_rests() {
    let mut view = view();
    view.lost("connection refused".to_owned());
    let lines = drawn(&mut view, 24, 80).join("\n");
    assert!(lines.contains("trying again: connection refused"));
    view.status(sample());
    assert!(!drawn(&mut view, 24, 80).join("\n").contains("trying again"));
}
