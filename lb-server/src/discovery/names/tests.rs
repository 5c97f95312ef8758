use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::UdpSocket;

use super::*;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// A record of an answer: its type, time to live and data.
#[derive(Clone)]
struct Record(u16, u32, Vec<u8>);

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
    let mut data = Vec::new();
    for number in [priority, weight, port] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    for label in target.split('.') {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend_from_slice(label.as_bytes());
    }
    data.push(0);
    Record(SRV, 30, data)
}

/// A name server that answers by name and type.
struct Server {
    config: DnsConfig,
    records: Arc<Mutex<Vec<(String, Record)>>>,
    /// The type of records that is not to be had.
    broken: Arc<AtomicU16>,
}

impl Server {
    async fn start(records: &[(&str, Record)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let config = DnsConfig {
            servers: vec![socket.local_addr().unwrap()],
        };
        let records = records
            .iter()
            .map(|(name, record)| ((*name).to_owned(), record.clone()));
        let server = Self {
            config,
            records: Arc::new(Mutex::new(records.collect())),
            broken: Arc::default(),
        };
        let (records, broken) = (Arc::clone(&server.records), Arc::clone(&server.broken));
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let broken = broken.load(Ordering::Relaxed);
                let reply = reply(&query[..length], &records.lock().unwrap(), broken);
                let _sent = socket.send_to(&reply, from).await;
            }
        });
        server
    }

    async fn look(&self, name: &str, records: DiscoverRecords) -> Result<Answer, Box<str>> {
        let lookup = Servers::new(&self.config).open().unwrap();
        lookup.look(name, records).await
    }
}

/// RFC 1035 §4: the header, the question as it came, and the answers to it.
fn reply(query: &[u8], records: &[(String, Record)], broken: u16) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8(query[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let name = labels.join(".").to_ascii_lowercase();
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let question_end = at + 5;
    let is_broken = kind == broken;
    let is_known = records.iter().any(|(known, _)| *known == name);
    let found: Vec<_> = records
        .iter()
        .filter(|(known, record)| *known == name && record.0 == kind)
        .collect();
    let code = match (is_broken, is_known) {
        (true, _) => 2,
        (false, true) => 0,
        (false, false) => 3,
    };
    let count = if is_broken {
        0
    } else {
        u8::try_from(found.len()).unwrap()
    };
    let mut reply = query[..2].to_vec();
    reply.extend_from_slice(&[0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend_from_slice(&query[12..question_end]);
    for (_, Record(kind, ttl, data)) in found.iter().take(usize::from(count)) {
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1]);
        reply.extend_from_slice(&ttl.to_be_bytes());
        reply.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        reply.extend_from_slice(data);
    }
    reply
}

#[tokio::test]
async fn addresses_of_both_kinds_with_the_shortest_time_to_live() {
    let six = "2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap();
    let server = Server::start(&[
        ("app.example", Record(A, 60, vec![10, 0, 0, 2])),
        ("app.example", Record(A, 60, vec![10, 0, 0, 1])),
        ("app.example", Record(AAAA, 20, six.octets().to_vec())),
    ])
    .await;
    let answer = server
        .look("app.example.", DiscoverRecords::Addresses)
        .await
        .unwrap();
    let addresses: Vec<_> = answer
        .places
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "2001:db8::1"]);
    assert_eq!(answer.ttl, Duration::from_secs(20));
}

#[tokio::test]
async fn nobody_is_an_answer_and_a_failure_is_none() {
    let server = Server::start(&[("app.example", Record(SRV, 60, Vec::new()))]).await;
    for name in ["none.example.", "app.example."] {
        let answer = server.look(name, DiscoverRecords::Addresses).await;
        assert_eq!(answer.unwrap().places, [], "{name}");
    }
    // Half an answer is none where the other half has nobody.
    for broken in [A, AAAA] {
        server.broken.store(broken, Ordering::Relaxed);
        let answer = server
            .look("app.example.", DiscoverRecords::Addresses)
            .await;
        assert!(answer.is_err(), "{answer:?}");
    }
}

#[tokio::test]
async fn services_have_hosts_ports_weights_and_ranks() {
    let server = Server::start(&[
        ("_http._tcp.app.example", srv(10, 5, 8001, "one.example")),
        ("_http._tcp.app.example", srv(20, 0, 8002, "two.example")),
        ("one.example", Record(A, 60, vec![10, 0, 0, 1])),
        ("two.example", Record(A, 9, vec![10, 0, 0, 2])),
    ])
    .await;
    let answer = server
        .look("_http._tcp.app.example.", DiscoverRecords::Services)
        .await
        .unwrap();
    let shown: Vec<_> = answer
        .places
        .iter()
        .map(|place| (place.address.to_string(), place.service.clone().unwrap()))
        .collect();
    let service = |host: &str, port, weight, is_later| Service {
        host: host.into(),
        port,
        weight,
        is_later,
    };
    assert_eq!(
        shown,
        [
            (
                "10.0.0.1".to_owned(),
                service("one.example", 8001, 5, false)
            ),
            ("10.0.0.2".to_owned(), service("two.example", 8002, 0, true)),
        ]
    );
    assert_eq!(answer.ttl, Duration::from_secs(9));
}
