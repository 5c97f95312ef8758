//! Opening a connection to a backend: the seam behind which sockets lie.

use std::io;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::net::{TcpStream, UnixStream};

use crate::config::BackendAddress;
use crate::transport::Io;

/// Opens byte streams to backends; a test puts pipes behind it.
pub(crate) trait Connector: Send + Sync + std::fmt::Debug {
    fn connect<'a>(&'a self, address: &'a BackendAddress)
    -> BoxFuture<'a, io::Result<Box<dyn Io>>>;
}

/// Unacknowledged bytes end a connection after this time: the far end is gone without a word.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The real thing: TCP with name resolution by the system, and unix sockets.
#[derive(Debug)]
pub(crate) struct SocketConnector;

impl Connector for SocketConnector {
    fn connect<'a>(
        &'a self,
        address: &'a BackendAddress,
    ) -> BoxFuture<'a, io::Result<Box<dyn Io>>> {
        Box::pin(async move {
            match address {
                BackendAddress::Unix(path) => {
                    Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Io>)
                }
                BackendAddress::Host { host, port } => {
                    let stream = TcpStream::connect((host.as_str(), *port)).await?;
                    stream.set_nodelay(true)?;
                    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(USER_TIMEOUT))?;
                    Ok(Box::new(stream) as Box<dyn Io>)
                }
            }
        })
    }
}
