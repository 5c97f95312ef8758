//! What is measured: each workload with the goals it is held to.

use super::peer::Peer;

/// How clients talk to the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    TlsH2,
    ClearH2,
    TlsH1,
}

/// How the proxy talks to the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    H1,
    H2c,
    TlsH2,
}

/// What the clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// GET of a body of so many bytes, as fast as it goes.
    Download { bytes: u32 },
    /// POST of a body of so many bytes, as fast as it goes.
    Upload { bytes: u32 },
    /// POST of a small message, answered by a small message and trailers.
    Grpc,
    /// A new TLS connection for each request.
    Handshake { resumed: bool },
    /// GET of 1 KiB at a fixed rate, whatever the answers take.
    Rate { per_second: u32 },
    /// GET of 1 KiB over connections that all stand before the first is counted.
    Standing,
    /// Connections that have had one request each and now do nothing.
    Idle,
    /// Requests that the backend never answers.
    Active,
}

/// What a goal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    /// Processor time per request, ours ÷ the best of the named peers.
    ProcessorTime,
    /// 99th percentile of the latency, ours ÷ the best of the named peers.
    P99,
    /// Our own KiB per connection.
    KibibytesPerConnection,
    /// Our requests per second ÷ those of `workers-1`.
    Scaling,
    /// Our own processor time per request ÷ that of another workload.
    OfOwn(&'static str),
    /// Processor time per request of one of our own set-ups ÷ that of another in the same workload.
    Overhead { of: Peer, over: Peer },
}

/// One goal: the figure has to be at most (`Scaling`: at least) this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) figure: Figure,
    pub(crate) against: &'static [Peer],
    pub(crate) bound: f64,
}

/// One workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) client: Client,
    pub(crate) upstream: Upstream,
    pub(crate) load: Load,
    pub(crate) connections: u32,
    /// Requests at once on each connection.
    pub(crate) streams: u32,
    /// Workers of the proxy, and cores it is pinned to.
    pub(crate) workers: u32,
    pub(crate) backends: u32,
    pub(crate) routes: u32,
    /// Measures only how our own cost grows.
    pub(crate) ours_only: bool,
    /// Every answer comes from the proxy's cache.
    pub(crate) cached: bool,
    /// Ours takes part with its access log, and with traces, as well.
    pub(crate) observed: bool,
    /// Belongs to `--quick`.
    pub(crate) quick: bool,
    pub(crate) goals: &'static [Goal],
}

const FOUR: &[Peer] = &[Peer::Nginx, Peer::HaProxy, Peer::H2o, Peer::Nghttpx];
const H2_UPSTREAM: &[Peer] = &[Peer::HaProxy, Peer::Nghttpx];

const fn time(against: &'static [Peer], bound: f64) -> Goal {
    Goal {
        figure: Figure::ProcessorTime,
        against,
        bound,
    }
}

impl Workload {
    const fn new(
        name: &'static str,
        title: &'static str,
        protocols: (Client, Upstream),
        load: Load,
        (connections, streams): (u32, u32),
    ) -> Self {
        Self {
            name,
            title,
            client: protocols.0,
            upstream: protocols.1,
            load,
            connections,
            streams,
            workers: 1,
            backends: 2,
            routes: 1,
            ours_only: false,
            cached: false,
            observed: false,
            quick: false,
            goals: &[],
        }
    }

    const fn goals(mut self, goals: &'static [Goal]) -> Self {
        self.goals = goals;
        self.quick()
    }

    const fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    const fn scaled(mut self, backends: u32, routes: u32) -> Self {
        self.backends = backends;
        self.routes = routes;
        self.ours_only = true;
        self
    }

    const fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    const fn cached(mut self) -> Self {
        self.cached = true;
        self
    }

    const fn observed(mut self) -> Self {
        self.observed = true;
        self.alone()
    }

    const fn alone(mut self) -> Self {
        self.ours_only = true;
        self
    }
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;
const TLS_H1: (Client, Upstream) = (Client::TlsH2, Upstream::H1);
const TLS_H2C: (Client, Upstream) = (Client::TlsH2, Upstream::H2c);
const TLS_TLS: (Client, Upstream) = (Client::TlsH2, Upstream::TlsH2);
const CLEAR_H1: (Client, Upstream) = (Client::ClearH2, Upstream::H1);
const H1_H1: (Client, Upstream) = (Client::TlsH1, Upstream::H1);
const SMALL: Load = Load::Download { bytes: KIB };
const FLOOR: &[Peer] = &[Peer::Floor];
const CACHES: &[Peer] = &[Peer::Nginx, Peer::Varnish];

const fn of_own(workload: &'static str, bound: f64) -> Goal {
    Goal {
        figure: Figure::OfOwn(workload),
        against: &[],
        bound,
    }
}

const fn overhead(of: Peer, over: Peer, bound: f64) -> Goal {
    Goal {
        figure: Figure::Overhead { of, over },
        against: &[],
        bound,
    }
}

/// All workloads, in the order in which they run.
#[rustfmt::skip]
pub(crate) const WORKLOADS: &[Workload] = &[
    Workload::new("h2-h1", "TLS h2 → HTTP/1.1, 1 KiB, 32 × 32", TLS_H1, SMALL, (32, 32)).goals(&[time(FOUR, 0.75)]),
    Workload::new("h2-h1-128x1", "TLS h2 → HTTP/1.1, 1 KiB, 128 × 1", TLS_H1, SMALL, (128, 1)).goals(&[time(FOUR, 0.90)]),
    Workload::new("h2-h2c", "TLS h2 → h2c, 1 KiB, 32 × 32", TLS_H2C, SMALL, (32, 32))
        .goals(&[time(H2_UPSTREAM, 0.75), time(FLOOR, 1.6)]),
    Workload::new("h2-h2c-128x1", "TLS h2 → h2c, 1 KiB, 128 × 1", TLS_H2C, SMALL, (128, 1)),
    Workload::new("h2-h2tls", "TLS h2 → TLS h2, 1 KiB, 32 × 32", TLS_TLS, SMALL, (32, 32)),
    Workload::new("clear-h1", "cleartext h2 → HTTP/1.1, 1 KiB, 32 × 32", CLEAR_H1, SMALL, (32, 32)).goals(&[time(FOUR, 0.85)]),
    Workload::new("cache-clear", "cache hits, cleartext h2, 1 KiB, 32 × 32", CLEAR_H1, SMALL, (32, 32)).cached()
        .goals(&[time(CACHES, 1.0), of_own("clear-h1", 0.5)]),
    Workload::new("cache-tls", "cache hits, TLS h2, 1 KiB, 32 × 32", TLS_H1, SMALL, (32, 32)).cached()
        .goals(&[time(CACHES, 1.0), of_own("h2-h1", 0.5)]),
    Workload::new("h1-h1", "TLS HTTP/1.1 → HTTP/1.1, 1 KiB, 128 connections", H1_H1, SMALL, (128, 1)),
    Workload::new("h2-h1-empty", "TLS h2 → HTTP/1.1, no body, 32 × 32", TLS_H1, Load::Download { bytes: 0 }, (32, 32)),
    Workload::new("h2-h1-100streams", "TLS h2 → HTTP/1.1, 1 KiB, 8 × 100", TLS_H1, SMALL, (8, 100)),
    Workload::new("h2-h1-100k", "TLS h2 → HTTP/1.1, 100 KiB, 32 × 8", TLS_H1, Load::Download { bytes: 100 * KIB }, (32, 8))
        .goals(&[time(FOUR, 0.90)]),
    Workload::new("h2-h2c-100k", "TLS h2 → h2c, 100 KiB, 32 × 8", TLS_H2C, Load::Download { bytes: 100 * KIB }, (32, 8))
        .goals(&[time(H2_UPSTREAM, 0.60)]),
    Workload::new("h2-h1-4m", "TLS h2 → HTTP/1.1, 4 MiB, 8 × 1", TLS_H1, Load::Download { bytes: 4 * MIB }, (8, 1))
        .goals(&[time(FOUR, 0.90)]),
    Workload::new("h2-h2c-4m", "TLS h2 → h2c, 4 MiB, 8 × 1", TLS_H2C, Load::Download { bytes: 4 * MIB }, (8, 1))
        .goals(&[time(H2_UPSTREAM, 0.75)]),
    Workload::new("h2-h1-10m", "TLS h2 → HTTP/1.1, 10 MiB, 8 × 1", TLS_H1, Load::Download { bytes: 10 * MIB }, (8, 1)),
    Workload::new("h1-h1-100k", "TLS HTTP/1.1 → HTTP/1.1, 100 KiB, 32 connections", H1_H1, Load::Download { bytes: 100 * KIB }, (32, 1)),
    Workload::new("h2-h1-upload", "1 MiB uploads, TLS h2 → HTTP/1.1, 8 × 1", TLS_H1, Load::Upload { bytes: MIB }, (8, 1))
        .goals(&[time(FOUR, 1.0)]),
    Workload::new("h2-h2c-upload", "1 MiB uploads, TLS h2 → h2c, 8 × 1", TLS_H2C, Load::Upload { bytes: MIB }, (8, 1))
        .goals(&[time(H2_UPSTREAM, 0.60)]),
    Workload::new("grpc", "gRPC unary calls, TLS h2 → h2c, 32 × 32", TLS_H2C, Load::Grpc, (32, 32)),
    Workload::new("handshake", "new TLS connection and one request, full handshake", TLS_H1, Load::Handshake { resumed: false }, (8, 1))
        .goals(&[time(FOUR, 0.70)]),
    Workload::new("handshake-resumed", "new TLS connection and one request, resumed", TLS_H1, Load::Handshake { resumed: true }, (4, 1)),
    Workload::new("rate-h1", "4,000 requests/s, TLS h2 → HTTP/1.1, 1 KiB, 32 connections", TLS_H1, Load::Rate { per_second: 4000 }, (32, 1))
        .goals(&[Goal { figure: Figure::P99, against: FOUR, bound: 1.0 }]),
    Workload::new("rate-h2c", "4,000 requests/s, TLS h2 → h2c, 1 KiB, 32 connections", TLS_H2C, Load::Rate { per_second: 4000 }, (32, 1)),
    Workload::new("idle", "memory of idle TLS h2 connections", TLS_H1, Load::Idle, (10_000, 1))
        .goals(&[Goal { figure: Figure::KibibytesPerConnection, against: &[], bound: 24.0 }]),
    Workload::new("active", "memory of streams waiting for a backend, 100 × 50", TLS_H1, Load::Active, (100, 50)),
    Workload::new("observed", "with the access log, with traces, TLS h2 → HTTP/1.1, 1 KiB, 32 × 32", TLS_H1, SMALL, (32, 32)).observed()
        .goals(&[overhead(Peer::Logged, Peer::Ours, 1.05), overhead(Peer::Traced, Peer::Logged, 1.02)]),
    Workload::new("workers-1", "one worker, TLS h2 → h2c, 1 KiB, 8 × 100", TLS_H2C, SMALL, (8, 100)).alone().quick(),
    Workload::new("workers-2", "two workers, TLS h2 → h2c, 1 KiB, 8 × 100", TLS_H2C, SMALL, (8, 100))
        .workers(2).alone().goals(&[Goal { figure: Figure::Scaling, against: &[], bound: 1.8 }]),
    Workload::new("h2-h1-2cores", "two workers, TLS h2 → HTTP/1.1, 1 KiB, 32 × 32", TLS_H1, SMALL, (32, 32)).workers(2),
    Workload::new("backends-10", "10 backends, TLS h2 → HTTP/1.1, 1 KiB, 8 × 8", TLS_H1, SMALL, (8, 8)).scaled(10, 1),
    Workload::new("backends-100", "100 backends, TLS h2 → HTTP/1.1, 1 KiB, 8 × 8", TLS_H1, SMALL, (8, 8)).scaled(100, 1),
    Workload::new("backends-1000", "1,000 backends, TLS h2 → HTTP/1.1, 1 KiB, 8 × 8", TLS_H1, SMALL, (8, 8)).scaled(1000, 1),
    Workload::new("routes-1", "1 route, 2 backends, TLS h2 → HTTP/1.1, 1 KiB, 8 × 8", TLS_H1, SMALL, (8, 8)).scaled(2, 1),
    Workload::new("routes-100", "100 routes, TLS h2 → HTTP/1.1, 1 KiB, 8 × 8", TLS_H1, SMALL, (8, 8)).scaled(2, 100),
    Workload::new("routes-1000", "1,000 routes, TLS h2 → HTTP/1.1, 1 KiB, 8 × 8", TLS_H1, SMALL, (8, 8)).scaled(2, 1000),
    Workload::new("connections-10", "10 connections, TLS h2 → HTTP/1.1, 1 KiB, one stream", TLS_H1, Load::Standing, (10, 1)),
    Workload::new("connections-100", "100 connections, TLS h2 → HTTP/1.1, 1 KiB, one stream", TLS_H1, Load::Standing, (100, 1)),
    Workload::new("connections-1000", "1,000 connections, TLS h2 → HTTP/1.1, 1 KiB, one stream", TLS_H1, Load::Standing, (1000, 1)),
    Workload::new("connections-10000", "10,000 connections, TLS h2 → HTTP/1.1, 1 KiB, one stream", TLS_H1, Load::Standing, (10_000, 1)),
];
