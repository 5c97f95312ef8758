//! `[metrics]`.

use super::Cursor;
use super::resilience::optional_duration;
use crate::config::model::MetricsConfig;

pub(super) fn metrics(cursor: &Cursor<'_>) -> Option<MetricsConfig> {
    let mut config = MetricsConfig::default();
    cursor.table(|fields| {
        fields.read("path", &mut config.path, Cursor::filled_text);
        fields.read("duration_buckets", &mut config.duration_buckets, |cursor| {
            Some(cursor.list().iter().filter_map(Cursor::float).collect())
        });
        fields.read("report", &mut config.report, optional_duration);
    })?;
    Some(config)
}
