//! Backends that answer, and answer badly.

use anyhow::Result;

use super::pause;
use crate::load::{End, Method, Mix};
use crate::outcome::{Outcome, precise};
use crate::proxies::Setup;
use crate::stage::{Moment, Play};

pub(super) fn resets(play: &Play<'_>) -> Result<Outcome> {
    misbehave(play, false, "reset-second")
}

pub(super) fn resets_h2c(play: &Play<'_>) -> Result<Outcome> {
    misbehave(play, true, "reset-second")
}

pub(super) fn errors(play: &Play<'_>) -> Result<Outcome> {
    misbehave(play, false, "status 500")
}

/// One of two does what it is told, probes apart.
fn misbehave(play: &Play<'_>, h2c: bool, how: &str) -> Result<Outcome> {
    let mut stage = play.stage(Setup {
        has_breaker: true,
        h2c,
        ..Setup::default()
    })?;
    let load = stage.load(Mix::Mixed)?;
    play.lead();
    let fault = Moment::now();
    stage.backends[0].tell(how)?;
    pause(play.fault);
    let end = Moment::now();
    let records = load.finish()?;
    let journals = stage.journals()?;
    let mut outcome = Outcome::new(records, &journals);
    outcome.ejected_by_journal(&journals[0], fault, end);
    outcome.promise_once();
    let failed = outcome.failed(&[Method::Get, Method::Keyed]);
    outcome.promise_hardly_any("GETs and keyed POSTs failed", failed);
    Ok(outcome)
}

pub(super) fn broken_bodies(play: &Play<'_>) -> Result<Outcome> {
    break_off(play, false)
}

pub(super) fn broken_bodies_h2c(play: &Play<'_>) -> Result<Outcome> {
    break_off(play, true)
}

/// Every response is truncated, reset or badly chunked.
fn break_off(play: &Play<'_>, h2c: bool) -> Result<Outcome> {
    let setup = Setup {
        h2c,
        ..Setup::default()
    };
    let stage = play.stage(setup)?;
    let load = stage.load(Mix::Broken)?;
    pause(play.fault);
    let mut outcome = Outcome::new(load.finish()?, &stage.journals()?);
    let (mut complete, mut reset, mut other) = (0, 0, 0);
    for record in outcome.records() {
        match &record.end {
            End::Complete(answer) if answer.status < 500 => complete += 1,
            // The head may have been waiting to be sent when the body turned out to be broken.
            End::Broken { is_reset: true } | End::Lost { is_reset: true, .. } => reset += 1,
            _ => other += 1,
        }
    }
    outcome.note("reset", reset);
    outcome.note("neither reset nor complete", other);
    outcome.promise_none("broken responses ended as complete", complete);
    Ok(outcome)
}

/// Both answer 503, and nobody else is there. Nobody is ejected either, so that the budget alone holds
/// retries back.
pub(super) fn storm(play: &Play<'_>) -> Result<Outcome> {
    let mut stage = play.stage(Setup {
        ejects: false,
        ..Setup::default()
    })?;
    for backend in &mut stage.backends {
        backend.tell("status 503")?;
    }
    let load = stage.load(Mix::Mixed)?;
    let begun = Moment::now();
    pause(play.fault);
    let records = load.finish()?;
    let seconds = begun.at.elapsed().as_secs_f64();
    let journals = stage.journals()?;
    let heads: usize = journals.iter().map(|journal| journal.heads.len()).sum();
    let offered = precise(records.len());
    let mut outcome = Outcome::new(records, &journals);
    let promised = 1.2 * offered + 10.0 * seconds;
    // A budget that has rested for a second has that second's worth in hand on top.
    let reserve = 10.0;
    let bound = (promised + reserve) * 1.02;
    outcome.promise("upstream requests", precise(heads), promised, bound);
    let beyond = precise(heads) - 1.2 * offered;
    outcome.note("beyond 1.2 per request, each second", beyond / seconds);
    outcome.promise_once();
    Ok(outcome)
}
