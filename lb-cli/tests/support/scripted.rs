//! Backends that misbehave on purpose, each a function over an accepted TCP stream.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::process::PATIENCE;

/// A TCP server that plays the same script on each connection, in a thread of its own.
pub(crate) struct Scripted {
    port: u16,
}

impl Scripted {
    pub(crate) fn start(script: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        Self::on(listener, script)
    }

    pub(crate) fn on(
        listener: TcpListener,
        script: impl Fn(&mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        let script = Arc::new(script);
        // The thread lives as long as the test's process: nothing it holds outlives that.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let script = Arc::clone(&script);
                thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    script(&mut stream);
                });
            }
        });
        Self { port }
    }

    /// Answers every request with these bytes as soon as its head is there, then closes.
    pub(crate) fn saying(answer: &'static [u8]) -> Self {
        Self::start(move |stream| {
            if !head(stream).is_empty() {
                let _ = stream.write_all(answer);
                // Closing with unread input would reset the connection and may destroy the answer.
                let _ = stream.shutdown(Shutdown::Write);
                hold(stream);
            }
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn h2c_url(&self) -> String {
        format!("h2c://127.0.0.1:{}", self.port)
    }
}

/// Reads up to the end of a request head; empty if the peer closed before.
pub(crate) fn head(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => seen.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Reads until the peer closes.
pub(crate) fn hold(stream: &mut TcpStream) {
    let mut sink = [0; 4096];
    while matches!(stream.read(&mut sink), Ok(read) if read > 0) {}
}
