use super::sample::sample;
use super::*;

/// The whole table as a reader without colours has it.
fn drawn(width: usize) -> String {
    let status = sample();
    let mut lines = head(&status, "127.0.0.1:9900");
    for pool in &status.pools {
        lines.extend(pool_lines(pool, status.now, width));
    }
    lines.extend(features(&status));
    let lines = lines.into_iter().map(|line| line.fit(width).render(false));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_table_fits_into_80_columns() {
    let drawn = drawn(80);
    assert!(drawn.lines().all(|line| line.chars().count() <= 80));
    insta::assert_snapshot!(drawn);
}

#[test]
fn a_wide_terminal_shows_whole_names_and_reasons() {
    insta::assert_snapshot!(drawn(160));
}

#[test]
fn no_width_is_too_small_to_draw() {
    for width in 0..200 {
        let drawn = drawn(width);
        assert!(drawn.lines().all(|line| line.chars().count() <= width));
    }
}

#[test]
fn rows_are_sorted_by_what_is_most() {
    let mut backends = sample().pools.remove(0).backends;
    backends.sort_by(|a, b| Column::Rate.compare(a, b));
    let rates: Vec<f64> = backends.iter().map(|backend| backend.rate).collect();
    assert_eq!(rates, [740.2, 12.0, 0.0]);
    let all = std::iter::successors(Some(Column::Name), |column| Some(column.next()));
    assert_eq!(
        all.take(9).filter(|column| *column == Column::Name).count(),
        2
    );
}
