//! Wrong settings of metrics.

use super::{after, shows, table};

#[test]
fn metrics() {
    let metrics = |text: &str| after(&format!("[metrics]\n{text}"));
    shows(
        "metrics",
        table(&[
            ("unknown key", metrics("patch = \"/metrics\"")),
            ("not a path", metrics("path = \"metrics\"")),
            ("a blank in a path", metrics("path = \"/a b\"")),
            ("no buckets", metrics("duration_buckets = []")),
            (
                "too many buckets",
                metrics(&format!(
                    "duration_buckets = {:?}",
                    (1..34).collect::<Vec<_>>()
                )),
            ),
            ("a bucket of nothing", metrics("duration_buckets = [0, 1]")),
            ("not sorted", metrics("duration_buckets = [0.5, 0.1]")),
            ("not numbers", metrics("duration_buckets = [\"5ms\"]")),
            ("a report without a unit", metrics("report = 60")),
            ("too many reports", metrics("report = \"10ms\"")),
        ]),
    );
}
