//! The bounds on client connections: in all, of one address, and in handshakes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use ipnet::IpNet;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// The bounds on client connections of a whole process.
#[derive(Debug)]
pub(crate) struct Admissions {
    connections: Arc<Semaphore>,
    max_connections: usize,
    handshakes: Arc<Semaphore>,
    per_client: Mutex<HashMap<IpAddr, u32, RandomState>>,
    max_per_client: u32,
    exempt: Vec<IpNet>,
}

/// A connection's place within the bounds, held until its end.
#[derive(Debug)]
pub(crate) struct Admission {
    _connection: OwnedSemaphorePermit,
    client: Option<(Arc<Admissions>, IpAddr)>,
}

impl Admissions {
    pub(crate) fn new(
        max_connections: usize,
        max_handshakes: usize,
        max_per_client: u32,
        exempt: Vec<IpNet>,
    ) -> Arc<Self> {
        Arc::new(Self {
            connections: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            max_connections: max_connections.min(Semaphore::MAX_PERMITS),
            handshakes: Arc::new(Semaphore::new(max_handshakes.min(Semaphore::MAX_PERMITS))),
            per_client: Mutex::default(),
            max_per_client,
            exempt,
        })
    }

    /// How many connections there are, and how many may be.
    pub(crate) fn connections(&self) -> (u64, u64) {
        let free = self.connections.available_permits();
        (
            (self.max_connections - free) as u64,
            self.max_connections as u64,
        )
    }

    /// Waits for room in the process: while there is none, clients wait in the kernel.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).acquire_owned().await.ok()
    }

    /// Waits for a turn to do a handshake.
    pub(crate) async fn handshake(&self) -> Option<SemaphorePermit<'_>> {
        self.handshakes.acquire().await.ok()
    }

    /// Counts a client's connection; `None` where it has as many as it may.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        room: OwnedSemaphorePermit,
    ) -> Option<Admission> {
        let peer = peer.to_canonical();
        if peer.is_loopback() || self.exempt.iter().any(|net| net.contains(&peer)) {
            return Some(Admission {
                _connection: room,
                client: None,
            });
        }
        let client = client_prefix(peer);
        let mut per_client = self.per_client.lock();
        let count = per_client.entry(client).or_insert(0);
        if *count >= self.max_per_client {
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
