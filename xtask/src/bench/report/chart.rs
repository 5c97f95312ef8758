//! Charts as SVG, coloured by the style sheet of the page.

use std::fmt::Write as _;

use super::class;
use crate::bench::peer::Peer;
use crate::bench::statistics::{Spread, number};

/// One bar with its spread.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) peer: Peer,
    pub(crate) spread: Spread,
}

/// One line of points (x, y).
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) peer: Peer,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 860.0;
/// For the names at the left, and for the figures at the right.
const LEFT: f64 = 80.0;
const RIGHT: f64 = 150.0;
const ROW: f64 = 26.0;
const HEIGHT: f64 = 260.0;
/// Between two lines of text.
const LEADING: f64 = 15.0;

/// Bars one below the other, beginning at zero, each with its figure and its ratio to ours.
pub(crate) fn bars(bars: &[Bar]) -> String {
    let most = bars
        .iter()
        .map(|bar| bar.spread.most)
        .fold(f64::MIN_POSITIVE, f64::max);
    let ours = bars.iter().find(|bar| bar.peer == Peer::Ours);
    let scale = (WIDTH - LEFT - RIGHT) / most;
    let mut y = 0.0;
    let mut rows = String::new();
    for bar in bars {
        let Spread {
            median,
            least,
            most,
        } = bar.spread;
        let (name, class) = (bar.peer.name(), class(bar.peer));
        let (end, from, to) = (
            LEFT + median * scale,
            LEFT + least * scale,
            LEFT + most * scale,
        );
        let ratio = ours.filter(|ours| ours.peer != bar.peer);
        let ratio = ratio.map_or_else(String::new, |ours| {
            format!(
                "<tspan dx=\"8\" opacity=\".65\">ratio {}</tspan>",
                number(ours.spread.median / median)
            )
        });
        let middle = y + ROW / 2.0;
        let _ = writeln!(
            rows,
            "<text x=\"{label:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\">\
             <title>{name}: {value}, from {least} to {most}</title></rect>\
             <path class=\"whisker\" d=\"M{from:.1} {middle:.1}H{to:.1}\"/>\
             <text x=\"{text:.1}\" y=\"{base:.1}\">{value}{ratio}</text>",
            label = LEFT - 8.0,
            base = middle + 4.5,
            top = y + 4.0,
            width = (end - LEFT).max(0.5),
            height = ROW - 8.0,
            value = number(median),
            least = number(least),
            most = number(most),
            text = to.max(end) + 8.0,
        );
        y += ROW;
    }
    format!("<svg viewBox=\"0 0 {WIDTH} {y}\" role=\"img\">\n{rows}</svg>\n")
}

/// Lines over a logarithmic x, y from zero, each named at its end.
pub(crate) fn lines(lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points()
        .map(|point| point.1)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut sizes: Vec<f64> = points().map(|point| point.0).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let (Some(&least), Some(&largest)) = (sizes.first(), sizes.last()) else {
        return String::new();
    };
    let span = (largest / least).ln().max(f64::MIN_POSITIVE);
    let bottom = HEIGHT - 24.0;
    let x = |size: f64| LEFT + (WIDTH - LEFT - RIGHT) * (size / least).ln() / span;
    let y = |value: f64| 12.0 + (bottom - 12.0) * (1.0 - value / most);
    let mut drawn = format!(
        "<path class=\"axis\" d=\"M{LEFT} {bottom}H{}\"/>\n",
        WIDTH - RIGHT
    );
    for &size in &sizes {
        let _ = writeln!(
            drawn,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x(size),
            HEIGHT - 6.0,
            whole(size),
        );
    }
    for value in [0.0, most] {
        let _ = writeln!(
            drawn,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y(value) + 4.5,
            number(value),
        );
    }
    // Ours last, above the others.
    for line in lines.iter().rev() {
        let class = class(line.peer);
        let path = line
            .points
            .iter()
            .map(|&(size, value)| format!("{:.1},{:.1}", x(size), y(value)));
        let path: Vec<String> = path.collect();
        let _ = writeln!(
            drawn,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            path.join(" ")
        );
        for &(size, value) in &line.points {
            let _ = writeln!(
                drawn,
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{} at {}: {}</title></circle>",
                x(size),
                y(value),
                line.peer.name(),
                whole(size),
                number(value),
            );
        }
    }
    let ends = lines
        .iter()
        .filter_map(|line| Some((line.peer, line.points.last()?.1)));
    for (peer, value, at) in apart(ends.map(|(peer, value)| (peer, value, y(value))).collect()) {
        let _ = writeln!(
            drawn,
            "<text x=\"{:.1}\" y=\"{:.1}\">{} {}</text>",
            WIDTH - RIGHT + 10.0,
            at + 4.5,
            peer.name(),
            number(value),
        );
    }
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n{drawn}</svg>\n")
}

/// Moves names down until none covers another, and all up if that went too far.
fn apart(mut names: Vec<(Peer, f64, f64)>) -> Vec<(Peer, f64, f64)> {
    names.sort_by(|one, other| one.2.total_cmp(&other.2));
    let mut free = f64::MIN;
    for name in &mut names {
        name.2 = name.2.max(free);
        free = name.2 + LEADING;
    }
    let over = (free - LEADING - (HEIGHT - 12.0)).max(0.0);
    for name in &mut names {
        name.2 -= over;
    }
    names
}

/// A count, without decimals.
fn whole(size: f64) -> String {
    let text = number(size);
    text.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(peer: Peer, median: f64) -> Bar {
        let spread = Spread {
            median,
            least: median * 0.9,
            most: median * 1.1,
        };
        Bar { peer, spread }
    }

    #[test]
    fn draws_a_bar_for_each_with_the_ratio_to_ours() {
        let svg = bars(&[bar(Peer::Ours, 20.0), bar(Peer::Nginx, 40.0)]);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(svg.matches("ratio 0.50").count(), 1);
    }

    #[test]
    fn keeps_names_at_the_ends_of_lines_apart() {
        let ends = vec![
            (Peer::Ours, 1.0, 100.0),
            (Peer::Nginx, 1.0, 101.0),
            (Peer::H2o, 1.0, 102.0),
        ];
        let places: Vec<f64> = apart(ends).into_iter().map(|(_, _, at)| at).collect();
        assert_eq!(places, [100.0, 115.0, 130.0]);
    }

    #[test]
    fn draws_lines_within_the_picture() {
        let line = Line {
            peer: Peer::Ours,
            points: vec![(10.0, 5.0), (1000.0, 10.0)],
        };
        let svg = lines(&[line]);
        assert!(svg.contains("points=\"80.0,124.0 710.0,12.0\""), "{svg}");
    }

    #[test]
    fn draws_nothing_from_nothing() {
        assert_eq!(lines(&[]), "");
    }
}
