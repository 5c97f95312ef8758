//! A name server whose answers a test changes while others ask.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

const A: u16 = 1;
const SRV: u16 = 33;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
/// The shortest that the proxy heeds.
const TTL_SECONDS: u32 = 1;

/// Type and data of a record.
#[derive(Clone)]
pub(crate) struct Record(u16, Vec<u8>);

/// What is said of names.
#[derive(Clone, Default)]
struct Said {
    has_failed: bool,
    records: Vec<(String, Record)>,
}

/// A UDP server in a thread of its own (RFC 1035 §4).
pub(crate) struct NameServer {
    port: u16,
    said: Arc<Mutex<Said>>,
}

impl NameServer {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let said = Arc::<Mutex<Said>>::default();
        let kept = Arc::clone(&said);
        // The thread lives as long as the test's process: nothing it holds outlives that.
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let said = kept.lock().expect("no holder panics").clone();
                let _ = socket.send_to(&reply(&query[..length], &said), from);
            }
        });
        Self {
            port: address.port(),
            said,
        }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What is said from now on.
    pub(crate) fn says(&self, records: &[(&str, Record)]) {
        let records = records
            .iter()
            .map(|(name, record)| ((*name).to_owned(), record.clone()));
        *self.said.lock().expect("no holder panics") = Said {
            has_failed: false,
            records: records.collect(),
        };
    }

    /// Answers nothing but that it failed from now on.
    pub(crate) fn fails(&self) {
        self.said.lock().expect("no holder panics").has_failed = true;
    }
}

/// An address of a name.
pub(crate) fn at(address: Ipv4Addr) -> Record {
    Record(A, address.octets().to_vec())
}

/// A place where a service is.
pub(crate) fn service(priority: u16, weight: u16, port: u16, host: &str) -> Record {
    let mut data = Vec::new();
    for number in [priority, weight, port] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    for label in host.split('.') {
        data.push(u8::try_from(label.len()).expect("labels are short"));
        data.extend_from_slice(label.as_bytes());
    }
    data.push(0);
    Record(SRV, data)
}

/// The header, the question as it came, and the answers to it.
fn reply(query: &[u8], said: &Said) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let name = labels.join(".");
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let known: Vec<_> = said
        .records
        .iter()
        .filter(|(known, _)| *known == name)
        .collect();
    let code = match (said.has_failed, known.is_empty()) {
        (true, _) => SERVER_FAILURE,
        (false, true) => NO_SUCH_NAME,
        (false, false) => 0,
    };
    let found: Vec<_> = known
        .iter()
        .filter(|(_, record)| code == 0 && record.0 == kind)
        .collect();
    let count = u8::try_from(found.len()).expect("there are few records");
    let mut reply = query[..2].to_vec();
    reply.extend_from_slice(&[0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    reply.extend_from_slice(&query[12..at + 5]);
    for (_, Record(kind, data)) in found {
        // Of the name in the question, in the class IN.
        reply.extend_from_slice(&[0xc0, 12]);
        reply.extend_from_slice(&kind.to_be_bytes());
        reply.extend_from_slice(&[0, 1]);
        reply.extend_from_slice(&TTL_SECONDS.to_be_bytes());
        let length = u16::try_from(data.len()).expect("data is short");
        reply.extend_from_slice(&length.to_be_bytes());
        reply.extend_from_slice(data);
    }
    reply
}
