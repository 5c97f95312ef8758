//! `cargo run -p lb-session --example flood`: who is left in a full store after a flood of clients without a login.

#![expect(clippy::print_stdout, reason = "the table is the purpose")]
#![expect(
    clippy::disallowed_methods,
    reason = "the example reads the clock for the library"
)]

use std::time::Instant;

use lb_session::{Committed, Session, SessionError, SessionId, SessionParameters, SessionStore};

const PLACES: usize = 1_000;

fn main() -> Result<(), SessionError> {
    let now = Instant::now();
    let parameters = SessionParameters::default().max_sessions(PLACES);
    let store = SessionStore::new(&parameters, now);
    let mut ids = 0_u128;
    let mut arrive = |logs_in: bool| -> Result<Option<SessionId>, SessionError> {
        let mut session = Session::new(&parameters);
        session.set("page", "/")?;
        if logs_in {
            session.rotate();
        }
        let fresh = || {
            // Counted up to be repeatable: in earnest 16 bytes of the system's randomness.
            ids += 1;
            SessionId::from_random(ids.to_le_bytes())
        };
        let committed = store.commit(&session.changes(), fresh, &parameters, now);
        Ok(match committed {
            Committed::Created(id) => Some(id),
            _ => None,
        })
    };

    let (mut people, mut visitors) = (Vec::new(), Vec::new());
    for _ in 0..600 {
        people.extend(arrive(true)?);
    }
    for _ in 0..200 {
        let visitor = arrive(false)?;
        // A visitor asks for the pictures of the page, with the cookie.
        visitors.extend(visitor.filter(|id| store.load(id, &parameters, now).is_some()));
    }
    for _ in 0..100_000 {
        arrive(false)?;
    }

    let left = |ids: &[SessionId]| {
        let alive = ids
            .iter()
            .filter(|id| store.describe(&id.handle(), &parameters, now).is_some());
        alive.count()
    };
    let stats = store.stats();
    println!("places                        {PLACES:>7}");
    println!(
        "logged in before the flood    {:>7}   left {:>4}",
        people.len(),
        left(&people)
    );
    println!(
        "visitors who came back        {:>7}   left {:>4}",
        visitors.len(),
        left(&visitors)
    );
    println!(
        "clients of the flood           100000   left {:>4}",
        stats.sessions - left(&people) - left(&visitors)
    );
    println!(
        "evicted: {} anonymous, {} logged in",
        stats.evicted_anonymous, stats.evicted_logged_in
    );
    Ok(())
}
