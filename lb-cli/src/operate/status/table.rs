//! Backends as rows: as many columns as there is room for.

use std::cmp::Ordering;

use lb_server::admin::{BackendState, BackendStatus};

use crate::figures::{age, count, latency, rate};
use crate::paint::{Line, Look};

/// The columns that a table can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    State,
    Weight,
    InFlight,
    Rate,
    Errors,
    P50,
    P99,
}

const COLUMNS: [Column; 8] = [
    Column::State,
    Column::Name,
    Column::Weight,
    Column::InFlight,
    Column::Rate,
    Column::Errors,
    Column::P50,
    Column::P99,
];
/// Everything but the name: columns, gaps and indentation.
const OTHERS: usize = 60;
const NAME_LEAST: usize = 12;
const NAME_MOST: usize = 44;
/// Where the reason fits behind a row instead of under it.
const WIDE: usize = 130;

impl Column {
    /// The next one to sort by.
    pub(crate) fn next(self) -> Self {
        let index = COLUMNS.iter().position(|column| *column == self);
        COLUMNS[index.map_or(0, |index| (index + 1) % COLUMNS.len())]
    }

    /// The word above it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Name => "BACKEND",
            Self::Weight => "WGHT",
            Self::InFlight => "BUSY",
            Self::Rate => "REQ/S",
            Self::Errors => "ERR/S",
            Self::P50 => "P50",
            Self::P99 => "P99",
        }
    }

    /// What is most of it comes first; names and states go upwards.
    pub(crate) fn compare(self, a: &BackendStatus, b: &BackendStatus) -> Ordering {
        match self {
            Self::Name => a.id.cmp(&b.id),
            Self::State => a.state.as_str().cmp(b.state.as_str()),
            Self::Weight => b.weight.cmp(&a.weight),
            Self::InFlight => b.in_flight.cmp(&a.in_flight),
            Self::Rate => b.rate.total_cmp(&a.rate),
            Self::Errors => b.error_rate.total_cmp(&a.error_rate),
            Self::P50 => b.p50_ms.total_cmp(&a.p50_ms),
            Self::P99 => b.p99_ms.total_cmp(&a.p99_ms),
        }
    }
}

/// The titles, with the column that rows are sorted by marked.
pub(crate) fn column_titles(width: usize, sorted: Option<Column>) -> Line {
    let look = |column| {
        if sorted == Some(column) {
            Look::Chosen
        } else {
            Look::Faint
        }
    };
    let name = name_width(width);
    let mut line = Line::default().plain("  ");
    for column in COLUMNS {
        let title = column.title();
        let (before, after) = match column {
            Column::State => (0, 13_usize.saturating_sub(title.len())),
            Column::Name => (0, name.saturating_sub(title.len())),
            Column::Weight => (6_usize.saturating_sub(title.len()), 0),
            Column::InFlight => (6_usize.saturating_sub(title.len()), 0),
            _ => (7_usize.saturating_sub(title.len()), 0),
        };
        line = line.plain(&" ".repeat(before)).with(look(column), title);
        line = line.plain(&" ".repeat(after));
        if column == Column::State {
            line = line.with(Look::Faint, "AGE ").plain(" ");
        }
    }
    if width >= WIDE {
        line = line.with(Look::Faint, "  WHY");
    }
    line
}

/// A row, and one more for the reason of a state that is not well.
pub(crate) fn backend_rows(backend: &BackendStatus, now: f64, width: usize) -> Vec<Line> {
    let look = look(backend.state);
    let state = match backend.state {
        BackendState::SlowStart => format!("slow {:>3}%", backend.percent),
        state => state.as_str().replace('_', " "),
    };
    let name_width = name_width(width);
    let mut name = shortened(&backend.id, name_width);
    if backend.backup && name.chars().count() + 8 < name_width {
        name.push_str(" backup");
    }
    let busy = count(backend.in_flight.into());
    let is_full = backend
        .max_connections
        .is_some_and(|most| backend.in_flight >= most);
    let erring = backend.error_rate > 0.0;
    let mut row = Line::default()
        .plain("  ")
        .with(look, &format!("{state:<13}"))
        .plain(&format!("{:<5}", age(now - backend.since)))
        .plain(&format!("{name:<name_width$}"))
        .plain(&format!("{:>6}", backend.weight))
        .with(
            if is_full { Look::Warn } else { Look::Plain },
            &format!("{busy:>6}"),
        )
        .plain(&format!("{:>7}", rate(backend.rate)))
        .with(
            if erring { Look::Bad } else { Look::Plain },
            &format!("{:>7}", rate(backend.error_rate)),
        )
        .plain(&format!("{:>7}", latency(backend.p50_ms)))
        .plain(&format!("{:>7}", latency(backend.p99_ms)));
    let why = backend.why.as_deref().filter(|why| !why.is_empty());
    if width >= WIDE {
        let seen = why.or(backend.last_check.as_deref());
        row = row.with(Look::Faint, &format!("  {}", seen.unwrap_or_default()));
        return vec![row];
    }
    match why {
        Some(why) if backend.state != BackendState::Ready => {
            let under = format!("{:15}{why}", "");
            vec![row, Line::of(Look::Faint, &under)]
        }
        _ => vec![row],
    }
}

fn look(state: BackendState) -> Look {
    match state {
        BackendState::Ready => Look::Good,
        BackendState::Unhealthy | BackendState::Ejected | BackendState::CircuitOpen => Look::Bad,
        _ => Look::Warn,
    }
}

fn name_width(width: usize) -> usize {
    let why = if width >= WIDE { 30 } else { 0 };
    width
        .saturating_sub(OTHERS + why)
        .clamp(NAME_LEAST, NAME_MOST)
}

/// The ends of a name are what tells it from others.
fn shortened(name: &str, width: usize) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= width {
        return name.to_owned();
    }
    // The usual scheme is what is missed least.
    if let Some(rest) = name.strip_prefix("http://") {
        return shortened(rest, width);
    }
    let tail = width.saturating_sub(1) * 2 / 3;
    let head = width.saturating_sub(1) - tail;
    let mut short: String = letters[..head].iter().collect();
    short.push('…');
    short.extend(&letters[letters.len() - tail..]);
    short
}
