//! A policy as bytes, with its age in place of the moment it was received at.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::ResponsePolicy;
use crate::rules::date::HttpDate;
use crate::rules::freshness::Freshness;
use crate::rules::vary::Vary;
use crate::wire::{Reader, write_millis};

const NO_CACHE: u8 = 1;
const MUST_REVALIDATE: u8 = 1 << 1;
const S_MAXAGE: u8 = 1 << 2;
const WHILE_REVALIDATE: u8 = 1 << 3;
const IF_ERROR: u8 = 1 << 4;
const KNOWN: u8 = NO_CACHE | MUST_REVALIDATE | S_MAXAGE | WHILE_REVALIDATE | IF_ERROR;

impl ResponsePolicy {
    pub(crate) fn write(&self, out: &mut Vec<u8>, now: Instant) -> Option<()> {
        let flags = [
            (self.no_cache, NO_CACHE),
            (self.must_revalidate, MUST_REVALIDATE),
            (self.s_maxage, S_MAXAGE),
            (self.stale_while_revalidate.is_some(), WHILE_REVALIDATE),
            (self.stale_if_error.is_some(), IF_ERROR),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set);
        out.push(flags.fold(0, |sum, (_, flag)| sum | flag));
        out.extend_from_slice(&self.status.as_u16().to_le_bytes());
        write_millis(out, self.freshness.age(now));
        write_millis(out, self.freshness.lifetime());
        for window in [self.stale_while_revalidate, self.stale_if_error] {
            write_millis(out, window.unwrap_or_default());
        }
        for date in [self.date, self.modified] {
            out.extend_from_slice(&date.seconds().to_le_bytes());
        }
        self.vary.write(out)
    }

    /// `resident` is how long ago it was written.
    pub(crate) fn read(reader: &mut Reader<'_>, resident: Duration, now: Instant) -> Option<Self> {
        let flags = reader.u8().filter(|flags| flags & !KNOWN == 0)?;
        let is = |flag| flags & flag != 0;
        let status = reader.u16()?;
        let is_storable = (200..600).contains(&status) && !matches!(status, 206 | 304);
        let status = StatusCode::from_u16(status).ok().filter(|_| is_storable)?;
        let age = reader.millis()?.saturating_add(resident);
        let lifetime = reader.millis()?;
        let (while_revalidate, if_error) = (reader.millis()?, reader.millis()?);
        Some(Self {
            freshness: Freshness::new(age, lifetime, now),
            stale_while_revalidate: is(WHILE_REVALIDATE).then_some(while_revalidate),
            stale_if_error: is(IF_ERROR).then_some(if_error),
            date: HttpDate::from_seconds(reader.i64()?),
            modified: HttpDate::from_seconds(reader.i64()?),
            vary: Vary::read(reader)?,
            status,
            no_cache: is(NO_CACHE),
            must_revalidate: is(MUST_REVALIDATE),
            s_maxage: is(S_MAXAGE),
        })
    }
}
