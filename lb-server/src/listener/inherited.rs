//! Sockets that somebody else has opened for this process, as a service manager does (sd_listen_fds(3)).
//!
//! The manager keeps them open as well, so that clients wait instead of being refused while the process is
//! replaced. For the same reason they can never be bound again: what is handed out is a copy, and a listener that
//! a reload removes and another one adds finds its socket here again.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Bound, Owner};
use crate::config::ListenAddress;

/// A socket that listens already.
#[derive(Debug)]
pub struct InheritedSocket {
    socket: Socket,
    address: ListenAddress,
    is_used: AtomicBool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl InheritedSocket {
    /// Takes a TCP socket.
    ///
    /// # Errors
    /// The system does not say where it listens, or does not let it be polled.
    pub fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            address: ListenAddress::Tcp(listener.local_addr()?),
            socket: Socket::Tcp(listener),
            is_used: AtomicBool::new(false),
        })
    }

    /// Takes a unix socket.
    ///
    /// # Errors
    /// It has no path, so that no configuration can name it, or the system does not let it be polled.
    pub fn unix(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the unix socket has no path")
        })?;
        Ok(Self {
            address: ListenAddress::Unix(path.to_owned()),
            socket: Socket::Unix(listener),
            is_used: AtomicBool::new(false),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }
}

/// All sockets that were inherited.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    sockets: Vec<InheritedSocket>,
}

impl Inheritance {
    pub(crate) fn add(&mut self, socket: InheritedSocket) {
        self.sockets.push(socket);
    }

    /// A copy of the socket that listens at an address, if there is one.
    pub(super) fn at(&self, address: &ListenAddress) -> io::Result<Option<Bound>> {
        let mut sockets = self.sockets.iter();
        let Some(found) = sockets.find(|socket| socket.address == *address) else {
            return Ok(None);
        };
        found.is_used.store(true, Ordering::Relaxed);
        Ok(Some(match (&found.socket, &found.address) {
            (Socket::Tcp(listener), ListenAddress::Tcp(address)) => {
                Bound::Tcp(listener.try_clone()?, *address)
            }
            (Socket::Unix(listener), ListenAddress::Unix(path)) => {
                Bound::Unix(listener.try_clone()?, path.clone(), Owner::Another)
            }
            _ => return Ok(None),
        }))
    }

    /// The addresses that nobody has asked for.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &ListenAddress> {
        let sockets = self.sockets.iter();
        let unused = sockets.filter(|socket| !socket.is_used.load(Ordering::Relaxed));
        unused.map(InheritedSocket::address)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::listener::bind;

    #[test]
    fn a_socket_is_found_by_its_address_again_and_again() {
        let socket = InheritedSocket::tcp(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let address = socket.address().clone();
        let other = InheritedSocket::tcp(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let unused = other.address().clone();
        let mut inheritance = Inheritance::default();
        inheritance.add(socket);
        inheritance.add(other);
        for _again in 0..2 {
            let Bound::Tcp(listener, bound) = bind(&address, &inheritance).unwrap() else {
                panic!("a TCP socket was asked for");
            };
            assert_eq!(ListenAddress::Tcp(bound), address);
            let client = TcpStream::connect(bound).unwrap();
            let accepted = listener.accept().unwrap();
            assert_eq!(accepted.1, client.local_addr().unwrap());
        }
        assert_eq!(inheritance.unused().collect::<Vec<_>>(), [&unused]);
        // Nobody else can have the address, which is why it has to be found.
        assert!(bind(&address, &Inheritance::default()).is_err());
    }

    #[test]
    fn the_path_of_a_socket_stays_with_whom_it_belongs_to() {
        let name = format!("lb-inherited-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let address = ListenAddress::Unix(path.clone());
        let socket = InheritedSocket::unix(UnixListener::bind(&path).unwrap()).unwrap();
        let mut inheritance = Inheritance::default();
        inheritance.add(socket);
        assert_eq!(bind(&address, &inheritance).unwrap().leaves(), None);
        drop(inheritance);

        let bound = bind(&address, &Inheritance::default()).unwrap();
        assert_eq!(bound.leaves(), Some(path.clone()));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_socket_without_a_name_cannot_be_meant() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("lb-inherited-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let error = InheritedSocket::unix(listener).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
