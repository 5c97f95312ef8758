//! What is on the screen: a function of what was heard and pressed.

use std::collections::VecDeque;

use lb_server::admin::{Change, Status};

use super::keys::Key;
use crate::figures::age;
use crate::operate::status::{Column, backend_rows, column_titles, features, head, pool_title};
use crate::paint::{Line, Look};

/// Changes that are kept; a screen has room for a few.
const CHANGES: usize = 50;
/// The share of the screen that changes may take.
const CHANGES_SHARE: usize = 5;

/// What is known, and how it is to be shown.
#[derive(Debug)]
pub(super) struct View {
    address: String,
    status: Option<Status>,
    changes: VecDeque<Change>,
    lost: Option<String>,
    sort: Option<Column>,
    is_reversed: bool,
    is_held: bool,
    first: usize,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Show,
    End,
}

impl View {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            status: None,
            changes: VecDeque::new(),
            lost: None,
            sort: None,
            is_reversed: false,
            is_held: false,
            first: 0,
        }
    }

    /// Takes what the server says of itself.
    pub(super) fn status(&mut self, status: Status) {
        self.lost = None;
        if !self.is_held {
            self.status = Some(status);
        }
    }

    /// Takes what has just happened.
    pub(super) fn change(&mut self, change: Change) {
        self.changes.push_front(change);
        self.changes.truncate(CHANGES);
    }

    /// Takes that the server is not heard any more, and why.
    pub(super) fn lost(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// Does what a key means.
    pub(super) fn press(&mut self, key: Key, rows: usize) -> After {
        let page = rows.saturating_sub(6).max(1);
        match key {
            Key::Letter('q' | 'Q') | Key::Interrupt => return After::End,
            Key::Letter('s') | Key::Right => {
                self.sort = Some(self.sort.map_or(Column::Name, Column::next));
            }
            Key::Letter('S') | Key::Left => self.sort = None,
            Key::Letter('r') => self.is_reversed = !self.is_reversed,
            Key::Letter(' ') => self.is_held = !self.is_held,
            Key::Up | Key::Letter('k') => self.first = self.first.saturating_sub(1),
            Key::Down | Key::Letter('j') => self.first = self.first.saturating_add(1),
            Key::PageUp => self.first = self.first.saturating_sub(page),
            Key::PageDown => self.first = self.first.saturating_add(page),
            Key::Home => self.first = 0,
            Key::End => self.first = usize::MAX,
            Key::Letter(_) => {}
        }
        After::Show
    }

    /// The lines of a screen of this size, never more and never wider.
    pub(super) fn lines(&mut self, rows: usize, columns: usize) -> Vec<Line> {
        let mut lines = match &self.status {
            Some(status) => head(status, &self.address),
            None => vec![Line::default().plain(&format!("waiting for {}", self.address))],
        };
        if let Some(why) = &self.lost {
            let text = format!("what is shown is old, trying again: {why}");
            lines.push(Line::of(Look::Bad, &text));
        }
        let below = self.below(rows);
        // What says how to get out stays, whatever else has no room.
        lines.truncate(rows.saturating_sub(below.len()));
        let room = rows.saturating_sub(lines.len() + below.len());
        let body = self.body(columns);
        self.first = self.first.min(body.len().saturating_sub(room));
        lines.extend(body.into_iter().skip(self.first).take(room));
        let used = lines.len() + below.len();
        lines.extend((used..rows).map(|_row| Line::default()));
        lines.extend(below);
        lines.truncate(rows);
        lines.into_iter().map(|line| line.fit(columns)).collect()
    }

    /// Pools with their backends, and the rest, without regard to what fits.
    fn body(&self, columns: usize) -> Vec<Line> {
        let Some(status) = &self.status else {
            return Vec::new();
        };
        let mut body = Vec::new();
        for pool in &status.pools {
            body.push(Line::default());
            body.push(pool_title(pool));
            body.push(column_titles(columns, self.sort));
            let mut backends: Vec<_> = pool.backends.iter().collect();
            if let Some(column) = self.sort {
                backends.sort_by(|a, b| column.compare(a, b));
            }
            if self.is_reversed {
                backends.reverse();
            }
            for backend in backends {
                body.extend(backend_rows(backend, status.now, columns));
            }
        }
        let features = features(status);
        if !features.is_empty() {
            body.push(Line::default());
            body.extend(features);
        }
        body
    }

    /// The latest changes and the keys.
    fn below(&self, rows: usize) -> Vec<Line> {
        let now = self.status.as_ref().map_or(0.0, |status| status.now);
        let mut below: Vec<Line> = self
            .changes
            .iter()
            .take(rows / CHANGES_SHARE)
            .map(|change| {
                let ago = age(now - change.at);
                Line::of(Look::Faint, &format!("{ago:>4} ago  ")).plain(&said(change))
            })
            .collect();
        let held = if self.is_held {
            "space goes on"
        } else {
            "space holds"
        };
        let sorted = self.sort.map(|column| format!(" (now {})", column.title()));
        let sorted = sorted.unwrap_or_default();
        let keys = format!("q ends  s sorts{sorted}  r turns the order  arrows scroll  {held}");
        below.push(Line::of(Look::Faint, &keys));
        below
    }
}

/// What happened, and to which backend where the text does not name it.
pub(super) fn said(change: &Change) -> String {
    let details = &change.details;
    match (&change.pool, &change.backend) {
        (Some(pool), Some(backend)) if !details.contains(backend.as_str()) => {
            format!("{backend} of pool {pool}: {details}")
        }
        _ => details.clone(),
    }
}

#[cfg(test)]
mod tests;
