//! Which trace a request belongs to, and whether its spans are kept (W3C Trace Context).

use std::num::NonZeroU64;

use http::HeaderValue;

use crate::headers::TraceParent;

/// The place of an exchange in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(super) id: u128,
    /// The span of whoever sent the request.
    pub(super) parent: Option<u64>,
    /// The exchange's own.
    pub(super) span: NonZeroU64,
    pub(crate) is_sampled: bool,
}

/// The spans of an exchange beside its own; their ids follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Queue,
    Cache,
    Store,
    Attempt(usize),
    Connect(usize),
}

impl Trace {
    /// Goes on with the trace of whoever sent the request, or begins one.
    ///
    /// Who is trusted decides whether it is sampled; for others `is_drawn` counts: else any client could fill the
    /// collector. The trace's id is kept in any case.
    pub(crate) fn begin(
        parent: Option<TraceParent>,
        is_trusted: bool,
        is_drawn: bool,
        draw: impl Fn() -> u64,
    ) -> Self {
        let span = NonZeroU64::new(draw()).unwrap_or(NonZeroU64::MIN);
        match parent {
            Some(parent) => Self {
                id: parent.trace,
                parent: Some(parent.span),
                span,
                is_sampled: if is_trusted {
                    parent.is_sampled
                } else {
                    is_drawn
                },
            },
            None => Self {
                // All zeroes are invalid, hence the lowest bit.
                id: u128::from(draw()) << 64 | u128::from(draw() | 1),
                parent: None,
                span,
                is_sampled: is_drawn,
            },
        }
    }

    /// `traceparent` for a request below the exchange.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header_of(self.span.get())
    }

    /// `traceparent` for an attempt; `None` where nobody will look for its span.
    pub(crate) fn attempt_header(&self, number: usize) -> Option<HeaderValue> {
        self.is_sampled
            .then(|| self.header_of(self.span_of(Part::Attempt(number))))
    }

    fn header_of(&self, span: u64) -> HeaderValue {
        let text = format!(
            "00-{:032x}-{span:016x}-{:02x}",
            self.id,
            u8::from(self.is_sampled)
        );
        let mut value =
            HeaderValue::try_from(text).unwrap_or_else(|_digits| HeaderValue::from_static("00"));
        // Each is another, so an index of it would be of no use.
        value.set_sensitive(true);
        value
    }

    /// The id of a part's span.
    pub(super) fn span_of(&self, part: Part) -> u64 {
        let salt = match part {
            Part::Queue => 1,
            Part::Cache => 2,
            Part::Store => 3,
            Part::Attempt(number) => 16 + 2 * number as u64,
            Part::Connect(number) => 17 + 2 * number as u64,
        };
        let seed = (u128::from(self.span.get()) << 64 | u128::from(salt)).to_le_bytes();
        lb_core::hash::key(&seed).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const PARENT: TraceParent = TraceParent {
        trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
        span: 0xb7ad_6b71_6920_3331,
        is_sampled: true,
    };

    fn begin(parent: Option<TraceParent>, is_trusted: bool, is_drawn: bool) -> Trace {
        let next = Cell::new(0);
        Trace::begin(parent, is_trusted, is_drawn, || {
            next.set(next.get() + 1);
            next.get()
        })
    }

    #[test]
    fn goes_on_with_a_trace_and_names_its_own_span() {
        let trace = begin(Some(PARENT), true, false);
        assert_eq!(
            trace.header(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01"
        );
        let first = trace.attempt_header(0).unwrap();
        assert_ne!(first, trace.attempt_header(1).unwrap());
        assert_ne!(first, trace.header());
        assert_eq!(trace.attempt_header(0).unwrap(), first);
    }

    #[test]
    fn believes_only_the_trusted_about_sampling() {
        let unsampled = TraceParent {
            is_sampled: false,
            ..PARENT
        };
        for (parent, is_trusted, is_drawn, is_sampled) in [
            (Some(PARENT), true, false, true),
            (Some(unsampled), true, true, false),
            (Some(PARENT), false, false, false),
            (Some(unsampled), false, true, true),
            (None, false, false, false),
            (None, true, true, true),
        ] {
            let trace = begin(parent, is_trusted, is_drawn);
            assert_eq!(
                trace.is_sampled, is_sampled,
                "{parent:?} {is_trusted} {is_drawn}"
            );
            assert_eq!(trace.attempt_header(0).is_some(), is_sampled);
            let flags = if is_sampled { "-01" } else { "-00" };
            assert!(trace.header().to_str().unwrap().ends_with(flags));
        }
    }

    #[test]
    fn begins_a_trace_where_there_is_none() {
        let trace = begin(None, false, true);
        assert_eq!(trace.parent, None);
        assert_ne!(trace.id, 0);
    }
}
