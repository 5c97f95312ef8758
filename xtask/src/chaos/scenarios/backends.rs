//! Backends that die, freeze, are slow, out of reach, or come and go.

use std::time::Duration;

use anyhow::Result;

use super::pause;
use crate::children::fill_backlog;
use crate::load::{End, Method, Mix, Record};
use crate::outcome::{Outcome, milliseconds, ratio};
use crate::proxies::{INTERVAL, Setup};
use crate::stage::{Moment, Play};

/// What may be repeated.
const REPEATABLE: [Method; 2] = [Method::Get, Method::Keyed];

/// How long a fault may go on showing on a machine that is busy with other things.
const GRACE: f64 = 4.0;

pub(super) fn killed(play: &Play<'_>) -> Result<Outcome> {
    kill(play, Setup::default())
}

pub(super) fn killed_h2c(play: &Play<'_>) -> Result<Outcome> {
    kill(play, h2c())
}

/// `kill -9` of one of two.
fn kill(play: &Play<'_>, setup: Setup) -> Result<Outcome> {
    let mut stage = play.stage(setup)?;
    // So that some requests are always under way.
    for backend in &mut stage.backends {
        backend.tell("late 20")?;
    }
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let fault = Moment::now();
    stage.backends[0].kill()?;
    pause(play.fault);
    let end = Moment::now();
    let records = load.finish()?;
    let journals = stage.journals()?;
    let mut outcome = Outcome::new(records, &journals);
    outcome.ejected_by_clients(fault, end);
    outcome.promise_once();
    outcome.promise_none("GETs and keyed POSTs failed", outcome.failed(&REPEATABLE));
    let longest = milliseconds(outcome.longest());
    outcome.promise("longest GET, ms", longest, 250.0, 250.0 * GRACE);
    // Those that were under way may have been processed; nobody who came later is hurt.
    let under_way = |record: &&Record| record.due < fault.at;
    let posts = outcome.records().iter();
    let posts = posts.filter(|record| record.method == Method::Post && !record.is_good());
    let failed: Vec<&Record> = posts.collect();
    let later = failed.iter().copied().filter(|record| !under_way(record));
    // Due and not sent yet when the backend died: a few milliseconds of the generator.
    let later = later
        .filter(|record| record.due > fault.at + INTERVAL / 4)
        .count();
    let unexplained = failed.iter().filter(|record| match &record.end {
        End::Complete(answer) => {
            let told = answer.proxy_status.as_deref().unwrap_or_default();
            answer.status != 502 || !told.ends_with("connection_terminated")
        }
        _ => true,
    });
    let unexplained = unexplained.count();
    let received = failed.iter().filter(|record| {
        let mut journals = journals.iter();
        journals.any(|journal| journal.whole.contains_key(&record.id))
    });
    outcome.note("failed POSTs that a backend had read", received.count());
    outcome.promise_none("POSTs failed that came after the kill", later);
    outcome.promise_none("POSTs failed with another reason", unexplained);
    Ok(outcome)
}

pub(super) fn frozen(play: &Play<'_>) -> Result<Outcome> {
    freeze(play, Setup::default())
}

pub(super) fn frozen_h2c(play: &Play<'_>) -> Result<Outcome> {
    freeze(play, h2c())
}

/// One of two stops for 3.5 s, and takes up again what it had.
fn freeze(play: &Play<'_>, setup: Setup) -> Result<Outcome> {
    let mut stage = play.stage(setup)?;
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let fault = Moment::now();
    stage.backends[0].signal("STOP")?;
    pause(Duration::from_millis(3500));
    stage.backends[0].signal("CONT")?;
    let end = Moment::now();
    pause(INTERVAL / 2);
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    outcome.promise_once();
    outcome.promise_none("GETs and keyed POSTs failed", outcome.failed(&REPEATABLE));
    promise_ejection(&mut outcome, fault, end);
    Ok(outcome)
}

/// One of two answers no packet any more.
pub(super) fn black_holed(play: &Play<'_>) -> Result<Outcome> {
    let mut stage = play.stage(Setup::default())?;
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let fault = Moment::now();
    stage.backends[0].signal("STOP")?;
    let waiting = fill_backlog(stage.backends[0].port)?;
    pause(play.fault);
    let end = Moment::now();
    drop(waiting);
    // What it had is answered, so that nobody waits longer than need be.
    stage.backends[0].signal("CONT")?;
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    outcome.promise_once();
    outcome.promise_none("GETs and keyed POSTs failed", outcome.failed(&REPEATABLE));
    promise_ejection(&mut outcome, fault, end);
    Ok(outcome)
}

fn promise_ejection(outcome: &mut Outcome, fault: Moment, end: Moment) {
    let longest = milliseconds(outcome.longest());
    outcome.promise("longest GET, ms", longest, 2000.0, 2000.0 * GRACE);
    let ejected_after = milliseconds(outcome.ejected_by_clients(fault, end));
    let window = milliseconds(INTERVAL);
    // Requests that are due while the window ends are still part of it.
    let goal = window * 1.1;
    outcome.promise("ejected after, ms", ejected_after, goal, window * GRACE);
}

pub(super) fn slow(play: &Play<'_>) -> Result<Outcome> {
    delay(play, Setup::default())
}

pub(super) fn slow_by_latency(play: &Play<'_>) -> Result<Outcome> {
    let setup = Setup {
        by_latency: true,
        ..Setup::default()
    };
    delay(play, setup)
}

/// One of two answers 500 ms later.
fn delay(play: &Play<'_>, setup: Setup) -> Result<Outcome> {
    let mut stage = play.stage(setup)?;
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let fault = Moment::now();
    stage.backends[0].tell("late 500")?;
    pause(play.fault);
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    outcome.promise_once();
    let all = outcome.failed(&Method::ALL);
    outcome.promise_none("requests failed", all);
    let after = outcome
        .records()
        .iter()
        .filter(|record| record.due >= fault.at);
    let after: Vec<&Record> = after.collect();
    let late = after.iter().filter(|record| {
        matches!(&record.end, End::Complete(answer)
            if answer.backend.as_deref() == Some(&stage.backends[0].name))
    });
    let share = 100.0 * ratio(late.count(), after.len());
    outcome.promise("requests that saw the slow one, %", share, 5.0, 10.0);
    Ok(outcome)
}

/// One of two dies and comes back, again and again.
pub(super) fn flapping(play: &Play<'_>) -> Result<Outcome> {
    let half = Duration::from_millis(500);
    let mut stage = play.stage(Setup::default())?;
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let begun = Moment::now();
    while begun.at.elapsed() < play.fault {
        stage.backends[0].kill()?;
        pause(half);
        stage.backends[0].restart()?;
        pause(half);
    }
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    outcome.promise_once();
    let failed = outcome.failed(&REPEATABLE);
    outcome.promise_hardly_any("GETs and keyed POSTs failed", failed);
    Ok(outcome)
}

fn h2c() -> Setup {
    Setup {
        h2c: true,
        ..Setup::default()
    }
}
