//! Ends and beginnings: of all backends, of the proxy, of one backend after the other.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use super::pause;
use crate::children::PATIENCE;
use crate::load::{End, Method, Mix, Record, TRICKLE_CHUNK, TRICKLE_CHUNKS, download};
use crate::outcome::{Outcome, milliseconds};
use crate::proxies::{INTERVAL, Kind, Setup};
use crate::stage::{Moment, Play};

/// Everybody dies; later everybody is back.
pub(super) fn all_down(play: &Play<'_>) -> Result<Outcome> {
    let mut stage = play.stage(Setup::default())?;
    let load = stage.load(Mix::Gets)?;
    play.lead();
    for backend in &mut stage.backends {
        backend.kill()?;
    }
    // Until the probes have found out.
    pause(INTERVAL * 3);
    let known = Moment::now();
    pause(play.fault.min(INTERVAL * 2));
    for backend in &mut stage.backends {
        backend.restart()?;
    }
    let back = Moment::now();
    pause(INTERVAL * 2);
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    let during = outcome.records().iter();
    let during = during.filter(|record| record.due >= known.at && record.due < back.at);
    // The last of them may have waited for who came back.
    let during: Vec<&Record> = during.filter(|record| !record.is_good()).collect();
    let proper = during.iter().filter(|record| {
        matches!(&record.end, End::Complete(answer)
            if answer.status == 503
                && answer.has_retry_after
                && answer.proxy_status.as_deref().unwrap_or_default().ends_with("destination_unavailable"))
    });
    let improper = during.len() - proper.count();
    let mut took: Vec<Duration> = during.iter().map(|record| record.took).collect();
    took.sort_unstable();
    let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or_default();
    let longest = took.last().copied().unwrap_or_default();
    let good = outcome.records().iter().filter(|record| record.is_good());
    let good = good.map(|record| record.due + record.took);
    let first = good.filter(|at| *at >= back.at).min();
    let recovered_after = first.map_or(PATIENCE, |first| first - back.at);
    outcome.note("503 while down", during.len() - improper);
    outcome.note("longest refusal, ms", milliseconds(longest));
    outcome.promise_none("refusals without reason or Retry-After", improper);
    outcome.promise("refused within, p99 ms", milliseconds(p99), 10.0, 500.0);
    let recovered_after = milliseconds(recovered_after);
    let interval = milliseconds(INTERVAL);
    outcome.promise("back after, ms", recovered_after, interval, interval * 2.0);
    Ok(outcome)
}

/// The proxy is asked to end under load, with a slow download under way.
pub(super) fn drained(play: &Play<'_>) -> Result<Outcome> {
    let (mut outcome, left) = leave(play, Setup::default())?;
    let whole = TRICKLE_CHUNK * TRICKLE_CHUNKS;
    let is_cut = usize::from(!left.download.is_complete || left.download.bytes != whole);
    outcome.promise_none("slow downloads cut", is_cut);
    outcome.note("ended after, ms", milliseconds(left.ended_after));
    Ok(outcome)
}

/// The same with a deadline that the download does not meet.
pub(super) fn cut(play: &Play<'_>) -> Result<Outcome> {
    let deadline = INTERVAL;
    let setup = Setup {
        shutdown_timeout: deadline,
        ..Setup::default()
    };
    let (mut outcome, left) = leave(play, setup)?;
    outcome.promise_none(
        "downloads that outlived the deadline",
        usize::from(left.download.is_complete),
    );
    let cut_after = left.download.ended.saturating_duration_since(left.asked);
    let off = milliseconds(cut_after.abs_diff(deadline));
    outcome.promise("cut off the deadline by, ms", off, 100.0, 1000.0);
    Ok(outcome)
}

/// What the end of a proxy showed.
struct Left {
    asked: Instant,
    download: crate::load::Download,
    ended_after: Duration,
}

fn leave(play: &Play<'_>, setup: Setup) -> Result<(Outcome, Left)> {
    let mut stage = play.stage(setup)?;
    for backend in &mut stage.backends {
        backend.tell("late 300")?;
    }
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let download = download(stage.proxy.address, stage.authority())?;
    let asked = Instant::now();
    stage.proxy.leave()?;
    pause(INTERVAL / 2);
    let records = load.finish()?;
    let download = download
        .join()
        .map_err(|_| anyhow!("the download panicked"))??;
    let ended = stage.proxy.wait(PATIENCE);
    // Peers may keep connections that are idle; what counts is what became of requests.
    if play.kind == Kind::Ours {
        ended.context("it does not end")?;
    }
    let mut outcome = Outcome::new(records, &stage.journals()?);
    outcome.promise_once();
    outcome.promise_none(
        "requests failed that were sent",
        outcome.failed_sent(&Method::ALL),
    );
    let left = Left {
        asked,
        download,
        ended_after: asked.elapsed(),
    };
    Ok((outcome, left))
}

/// One backend after the other leaves, as deploys have them leave, and comes back.
pub(super) fn rolling(play: &Play<'_>) -> Result<Outcome> {
    let mut stage = play.stage(Setup::default())?;
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    for backend in &mut stage.backends {
        backend.tell("unready")?;
        pause(INTERVAL * 5 / 2);
        backend.drain()?;
        backend.restart()?;
        pause(INTERVAL * 3 / 2);
    }
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    outcome.promise_once();
    let all = outcome.failed(&Method::ALL);
    outcome.promise_none("requests failed", all);
    Ok(outcome)
}
