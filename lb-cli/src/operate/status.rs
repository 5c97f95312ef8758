//! `lb-cli status`: how everything is doing, at one look.

mod lines;
mod table;

use std::io::{self, IsTerminal as _};

use lb_server::admin::{PoolStatus, Status};
use serde_json::Value;

use crate::admin::Client;
use crate::args::StatusArguments;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::paint::Line;

pub(crate) use lines::{features, head, pool_title};
pub(crate) use table::{Column, backend_rows, column_titles};

/// What a table is given where no terminal says how wide it is.
const WIDTH: usize = 100;

/// Asks once and prints.
pub(crate) fn run(arguments: &StatusArguments) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.admin)?;
    if arguments.json {
        let status: Value = client.get("/api/v1/status")?;
        output::line(format_args!("{status:#}"));
        return Ok(Exit::Done);
    }
    let status: Status = client.get("/api/v1/status")?;
    let width = output::columns().unwrap_or(WIDTH);
    let mut lines = head(&status, &client.address().to_string());
    for pool in &status.pools {
        lines.push(Line::default());
        lines.extend(pool_lines(pool, status.now, width));
    }
    let features = features(&status);
    if !features.is_empty() {
        lines.push(Line::default());
        lines.extend(features);
    }
    print(lines, width);
    Ok(Exit::Done)
}

/// Prints pools with their backends as they were at `now`.
pub(crate) fn print_pools(pools: &[PoolStatus], now: f64) {
    let width = output::columns().unwrap_or(WIDTH);
    for (index, pool) in pools.iter().enumerate() {
        let gap = (index > 0).then(Line::default);
        let lines = gap.into_iter().chain(pool_lines(pool, now, width));
        print(lines.collect(), width);
    }
}

fn pool_lines(pool: &PoolStatus, now: f64, width: usize) -> Vec<Line> {
    let rows = pool.backends.iter();
    let mut lines = vec![pool_title(pool), column_titles(width, None)];
    lines.extend(rows.flat_map(|backend| backend_rows(backend, now, width)));
    lines
}

fn print(lines: Vec<Line>, width: usize) {
    let colours = output::colours_of(io::stdout().is_terminal());
    for line in lines {
        output::line(line.fit(width).render(colours));
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
