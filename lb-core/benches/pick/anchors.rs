//! What others do, as they do it by default.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use maglev::ConsistentHasher;
use pingora_ketama::{Bucket, Continuum};
use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PeakEwma, PendingRequests};

use crate::measure::Entry;
use crate::ours::next;

pub(crate) fn addresses(size: usize) -> Vec<SocketAddr> {
    let address = |index: usize| format!("10.0.{}.{}:8080", index / 250, index % 250 + 1).parse();
    (0..size)
        .map(|index| address(index).expect("an address"))
        .collect()
}

pub(crate) fn ketama(addresses: &[SocketAddr]) -> Continuum {
    Continuum::new(
        &addresses
            .iter()
            .map(|&address| Bucket::new(address, 1))
            .collect::<Vec<_>>(),
    )
}

/// With as many cells as Envoy has by default, not with the crate's 100 per node: that moves 1.5 % of the keys.
pub(crate) fn maglev(addresses: &[SocketAddr]) -> maglev::Maglev<SocketAddr> {
    maglev::Maglev::with_capacity(addresses.iter().copied(), 65_537)
}

/// Answers at once.
#[derive(Debug)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

pub(crate) fn add_to(entries: &mut Vec<Entry>, size: usize) {
    let addresses = addresses(size);
    let ring = ketama(&addresses);
    entries.push(Entry::new("pingora-ketama", size, move |count| {
        let mut random = 88_172_645_463_325_252;
        for _ in 0..count {
            black_box(ring.node(&next(&mut random).to_le_bytes()));
        }
    }));
    let table = maglev(&addresses);
    entries.push(Entry::new("maglev crate", size, move |count| {
        let mut random = 88_172_645_463_325_252;
        for _ in 0..count {
            black_box(table.get(&next(&mut random)));
        }
    }));
    let pending = (0..size).map(|_| PendingRequests::new(Echo, CompleteOnResponse::default()));
    let balance = Balance::new(ServiceList::new::<u64>(pending));
    entries.push(Entry::new(
        "tower Balance PendingRequests",
        size,
        call(balance),
    ));
    let (rtt, decay_nanos) = (Duration::from_millis(30), 10e9);
    let ewma = (0..size)
        .map(move |_| PeakEwma::new(Echo, rtt, decay_nanos, CompleteOnResponse::default()));
    let balance = Balance::new(ServiceList::new::<u64>(ewma));
    entries.push(Entry::new("tower Balance PeakEwma", size, call(balance)));
}

/// Waits until a service is ready and calls it, to the end of the response.
fn call<S: Service<u64> + 'static>(mut balance: S) -> impl FnMut(u64)
where
    S::Future: 'static,
{
    move |count| {
        let mut context = Context::from_waker(Waker::noop());
        for request in 0..count {
            if let Poll::Ready(Ok(())) = balance.poll_ready(&mut context) {
                let mut response = Box::pin(balance.call(request));
                black_box(response.as_mut().poll(&mut context).is_ready());
            }
        }
    }
}
