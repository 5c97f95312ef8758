//! The bounds on client connections: in all, of one address, and in handshakes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::RandomState;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds on client connections of a whole process.
#[derive(Debug)]
pub(crate) struct Admissions {
    connections: Arc<Places>,
    handshakes: Arc<Places>,
    per_client: Mutex<HashMap<IpAddr, u32, RandomState>>,
    max_per_client: AtomicU32,
    exempt: Mutex<Arc<[IpNet]>>,
}

/// The bounds, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) handshakes: usize,
    pub(crate) per_client: u32,
    /// Whose connections are not counted by address.
    pub(crate) exempt: Vec<IpNet>,
}

/// So many places, a number that may change while they are taken.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    all: usize,
    /// Places that are taken and shall not be free again.
    excess: usize,
}

/// One of the places, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

/// A connection's place within the bounds, held until its end.
#[derive(Debug)]
pub(crate) struct Admission {
    _connection: Place,
    client: Option<(Arc<Admissions>, IpAddr)>,
}

impl Places {
    fn new(all: usize) -> Arc<Self> {
        let all = all.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(all)),
            size: Mutex::new(Size { all, excess: 0 }),
        })
    }

    async fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(Place {
            permit: Some(permit),
            places: Arc::clone(self),
        })
    }

    /// How many are taken, and how many there are.
    fn taken(&self) -> (u64, u64) {
        let size = self.size.lock();
        let taken = (size.all + size.excess).saturating_sub(self.free.available_permits());
        (taken as u64, size.all as u64)
    }

    /// Changes the number; what is taken beyond it is not given out again.
    fn resize(&self, all: usize) {
        let all = all.min(Semaphore::MAX_PERMITS);
        let mut size = self.size.lock();
        if all >= size.all {
            let more = all - size.all;
            let kept = more.min(size.excess);
            size.excess -= kept;
            self.free.add_permits(more - kept);
        } else {
            let fewer = size.all - all;
            size.excess += fewer - self.free.forget_permits(fewer);
        }
        size.all = all;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut size = self.places.size.lock();
        if size.excess > 0
            && let Some(permit) = self.permit.take()
        {
            size.excess -= 1;
            permit.forget();
        }
    }
}

impl Admissions {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            connections: Places::new(bounds.connections),
            handshakes: Places::new(bounds.handshakes),
            per_client: Mutex::default(),
            max_per_client: AtomicU32::new(bounds.per_client),
            exempt: Mutex::new(bounds.exempt.into()),
        })
    }

    /// Changes the bounds; connections that are there stay, whatever the bounds say.
    pub(crate) fn set(&self, bounds: Bounds) {
        self.connections.resize(bounds.connections);
        self.handshakes.resize(bounds.handshakes);
        self.max_per_client
            .store(bounds.per_client, Ordering::Relaxed);
        *self.exempt.lock() = bounds.exempt.into();
    }

    /// How many connections there are, and how many may be.
    pub(crate) fn connections(&self) -> (u64, u64) {
        self.connections.taken()
    }

    /// Waits for room in the process: while there is none, clients wait in the kernel.
    pub(crate) async fn room(&self) -> Option<Place> {
        self.connections.take().await
    }

    /// Waits for a turn to do a handshake.
    pub(crate) async fn handshake(&self) -> Option<Place> {
        self.handshakes.take().await
    }

    /// Counts a client's connection; `None` where it has as many as it may.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, room: Place) -> Option<Admission> {
        let peer = peer.to_canonical();
        let exempt = Arc::clone(&self.exempt.lock());
        if peer.is_loopback() || exempt.iter().any(|net| net.contains(&peer)) {
            return Some(Admission {
                _connection: room,
                client: None,
            });
        }
        let client = client_prefix(peer);
        let mut per_client = self.per_client.lock();
        let count = per_client.entry(client).or_insert(0);
        if *count >= self.max_per_client.load(Ordering::Relaxed) {
            return None;
        }
        *count += 1;
        Some(Admission {
            _connection: room,
            client: Some((Arc::clone(self), client)),
        })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some((admissions, client)) = self.client.take() else {
            return;
        };
        let mut per_client = admissions.per_client.lock();
        if let Some(count) = per_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                per_client.remove(&client);
            }
        }
    }
}

/// An IPv6 household has a /64 of addresses; they count as one.
fn client_prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn places_are_as_many_as_they_are_said_to_be() {
        let places = Places::new(3);
        let take = || places.take().now_or_never().flatten();
        let mut taken: Vec<_> = (0..3).map(|_| take().unwrap()).collect();
        assert!(take().is_none());
        places.resize(1);
        places.resize(2);
        // Three are taken, so the next one that ends is none's.
        taken.pop();
        assert!(take().is_none());
        taken.pop();
        taken.push(take().unwrap());
        assert!(take().is_none());
        places.resize(4);
        taken.extend([take().unwrap(), take().unwrap()]);
        assert!(take().is_none());
        places.resize(0);
        taken.clear();
        assert!(take().is_none());
        places.resize(1);
        assert!(take().is_some());
    }
}
