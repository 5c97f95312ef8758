//! Keeps the instances in step: announces purges, and reads those of others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all, select_all};

use super::{Command, PURGE, SecondLevel, Store, StoreError, Value, carry_out, number};
use crate::cache::HttpCache;
use crate::clock;
use crate::drain::Drain;
use crate::running::Handle;

/// How often the log of purges is read: how long another instance's purge may go unnoticed.
const READ_EVERY: Duration = Duration::from_millis(250);
/// Purges announced by one command.
const ANNOUNCED_AT_ONCE: usize = 128;

/// More than a log of [`LOG_MAX`](super::purges::LOG_MAX) purges needs; a store whose log has no end gets no further.
const ROUNDS_MAX: usize = 32;

/// Announces the purges of all caches that are shared, and reads those of others, until the server's end.
pub(crate) async fn keep(handle: Handle, store: Arc<dyn Store>, drain: Drain) {
    let keeping = async {
        loop {
            let snapshot = handle.snapshot();
            let shared = || {
                snapshot
                    .caches
                    .values()
                    .filter(|cache| cache.second().is_some())
            };
            join_all(shared().map(|cache| async {
                // The link has said what is wrong; the next round tries again.
                let _is_done = cache.synchronise(&*store).await;
            }))
            .await;
            let mut news: Vec<BoxFuture<'_, ()>> = vec![Box::pin(std::future::pending())];
            for level in shared().filter_map(|cache| cache.second()) {
                news.push(Box::pin(level.has_news.notified()));
            }
            let pause = tokio::time::sleep(READ_EVERY);
            tokio::select! {
                biased;
                _ = select_all(news) => {}
                () = pause => {}
            }
        }
    };
    tokio::select! {
        biased;
        () = drain.forced() => {}
        () = keeping => {}
    }
}

impl HttpCache {
    /// Announces the purges of this instance and reads those of others.
    ///
    /// # Errors
    /// Why the store did not take or give them; they stay to be announced.
    pub(crate) async fn synchronise(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(level) = self.second() else {
            return Ok(());
        };
        // First whether it is still the same log: its numbers are compared with those of this one.
        self.read_all_news(level, store).await?;
        for _round in 0..ROUNDS_MAX {
            if !level.announce_pending(self, store).await? {
                break;
            }
        }
        self.read_all_news(level, store).await
    }

    async fn read_all_news(
        &self,
        level: &SecondLevel,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        for _round in 0..ROUNDS_MAX {
            if level.read_news(self.responses(), store).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

impl SecondLevel {
    /// Announces some purges; whether there were any.
    async fn announce_pending(
        &self,
        cache: &HttpCache,
        store: &dyn Store,
    ) -> Result<bool, StoreError> {
        let (position, pending) = {
            let purges = self.purges.lock();
            (purges.position(), purges.pending(ANNOUNCED_AT_ONCE))
        };
        let Some(position) = position.filter(|_| !pending.is_empty()) else {
            return Ok(false);
        };
        let command = Command::script(&PURGE)
            .key(self.log.as_str())
            .number(position)
            .number(super::purges::LOG_MAX);
        let command = pending.iter().fold(command, |command, (target, _)| {
            command.word(target.encode())
        });
        let answer = store.run(command).await?;
        let numbers = numbers(&answer).filter(|numbers| numbers.len() == pending.len());
        let numbers = numbers.ok_or_else(|| StoreError::unexpected(&answer))?;
        let due = {
            let mut purges = self.purges.lock();
            purges.announced(pending, &numbers, clock::now())
        };
        carry_out(&due, cache.responses(), clock::now());
        Ok(true)
    }
}

/// Pairs of numbers; `None` if the answer is not of that form.
fn numbers(answer: &Value) -> Option<Vec<(u64, u64)>> {
    let Value::List(values) = answer else {
        return None;
    };
    let pair = |pair: &[Value]| match pair {
        [one, other] => Some((number(one)?, number(other)?)),
        _ => None,
    };
    values.chunks(2).map(pair).collect()
}
