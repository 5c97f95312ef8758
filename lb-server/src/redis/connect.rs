//! Connections by the `redis` crate: to one server, to the master that sentinels name, to a cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, TlsMode,
};

use super::{Command, Opener, Script, Store, StoreError, Value};
use crate::config::{RedisAddress, RedisConfig, RedisUrl};
use crate::error::{Error, ErrorKind};

/// Commands that may wait for the connection's task; beyond it they wait to be taken.
const PIPELINE: usize = 1024;

/// What a cluster's connection waits for a node: longer than a link, which is the one to judge.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Opens connections as configured.
pub(super) struct Client {
    config: RedisConfig,
    certificates: TlsCertificates,
}

impl Client {
    pub(super) fn new(config: &RedisConfig) -> Result<Self, Error> {
        // The password is read with every connection, so that a new one needs no restart; now, so that a
        // wrong path is found at once.
        config.check()?;
        let unreadable = |error: std::io::Error| {
            Error::new(ErrorKind::Tls, "cannot read `ca` of [redis]").with_source(error)
        };
        let root_cert = config.ca.as_ref().map(std::fs::read).transpose();
        Ok(Self {
            config: config.clone(),
            certificates: TlsCertificates {
                client_tls: None,
                root_cert: root_cert.map_err(unreadable)?,
            },
        })
    }

    fn login(&self) -> Result<RedisConnectionInfo, StoreError> {
        let database = self.config.url.first().map_or(0, |url| url.database);
        let mut login = RedisConnectionInfo::default().set_db(database.into());
        if let Some(username) = &self.config.username {
            login = login.set_username(username);
        }
        let password = self
            .config
            .password()
            .map_err(|error| StoreError::Unusable(format!("its password_file: {error}").into()))?;
        if let Some(password) = password {
            login = login.set_password(password);
        }
        Ok(login)
    }

    async fn connect(&self) -> Result<Arc<dyn Store>, StoreError> {
        let login = self.login()?;
        // The link has timeouts of its own, over all of it.
        let options = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE);
        if self.config.cluster {
            let nodes = self.nodes(&login)?;
            let mut builder = ClusterClientBuilder::new(nodes)
                .retries(1)
                .response_timeout(ANSWER_WITHIN.max(self.config.timeout * 2));
            if self.is_tls() {
                builder = builder.certs(self.certificates.clone());
            }
            if let Some(username) = login.username() {
                builder = builder.username(username);
            }
            if let Some(password) = login.password() {
                builder = builder.password(password);
            }
            let client = builder.build().map_err(|error| classify(&error))?;
            let connection = client.get_async_connection().await;
            return self
                .proven(connection.map_err(|error| classify(&error))?)
                .await;
        }
        let client = match &self.config.sentinel {
            Some(master) => self.master(master, &login).await,
            None => match self.nodes(&login)?.into_iter().next() {
                Some(node) if self.is_tls() => {
                    redis::Client::build_with_tls(node, self.certificates.clone())
                }
                Some(node) => redis::Client::open(node),
                None => return Err(StoreError::Unusable("no url".into())),
            },
        };
        let client = client.map_err(|error| classify(&error))?;
        let connection = client
            .get_multiplexed_async_connection_with_config(&options)
            .await
            .map_err(|error| classify(&error))?;
        self.proven(connection).await
    }

    fn is_tls(&self) -> bool {
        self.config.url.iter().any(RedisUrl::is_tls)
    }

    fn nodes(&self, login: &RedisConnectionInfo) -> Result<Vec<ConnectionInfo>, StoreError> {
        let node = |url| {
            let info = address(url).into_connection_info();
            let info = info.map_err(|error| classify(&error))?;
            Ok(info.set_redis_settings(login.clone()))
        };
        self.config.url.iter().map(node).collect()
    }

    /// Asks the sentinels who is master.
    async fn master(
        &self,
        master: &str,
        login: &RedisConnectionInfo,
    ) -> Result<redis::Client, RedisError> {
        let sentinels = self.config.url.iter().map(address);
        let mut builder =
            SentinelClientBuilder::new(sentinels, master, SentinelServerType::Master)?
                .set_client_to_redis_db(login.db());
        if self.is_tls() {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(self.certificates.clone())
                .set_client_to_sentinel_certificates(self.certificates.clone());
        }
        if let Some(username) = login.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        builder.build()?.async_get_client().await
    }

    /// Writes a key: a replica, a full or a failing server answers PING as well as any.
    async fn proven<C>(&self, connection: C) -> Result<Arc<dyn Store>, StoreError>
    where
        C: ConnectionLike + Clone + Send + Sync + 'static,
        Connected<C>: Store,
    {
        let store = Connected { connection };
        let probe = Command::new("SET")
            .word(format!("{}probe", self.config.prefix))
            .word("1")
            .word("PX")
            .word("1000");
        store.run(probe).await.map_err(|error| match error {
            StoreError::Refused(why) => StoreError::Unusable(why),
            other => other,
        })?;
        Ok(Arc::new(store))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Opener for Client {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, StoreError>> {
        Box::pin(self.connect())
    }
}

fn address(url: &RedisUrl) -> ConnectionAddr {
    match &url.address {
        RedisAddress::Unix(path) => ConnectionAddr::Unix(path.clone()),
        RedisAddress::Tcp { host, port } => ConnectionAddr::Tcp(host.clone(), *port),
        RedisAddress::Tls { host, port } => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: false,
            tls_params: None,
        },
    }
}

/// A connection; its clones share it.
struct Connected<C> {
    connection: C,
}

impl<C> fmt::Debug for Connected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected(..)")
    }
}

/// Implemented for the two kinds of connection.
macro_rules! store {
    ($connection:ty) => {
        impl Store for Connected<$connection> {
            fn run(&self, command: Command) -> BoxFuture<'_, Result<Value, StoreError>> {
                let mut connection = self.connection.clone();
                Box::pin(async move {
                    let mut answer = connection
                        .req_packed_command(&encode(&command, Text::Hash))
                        .await
                        .and_then(redis::Value::extract_error);
                    if command.script.is_some() && answer.as_ref().is_err_and(is_unknown_script) {
                        answer = connection
                            .req_packed_command(&encode(&command, Text::Whole))
                            .await
                            .and_then(redis::Value::extract_error);
                    }
                    answer.map_err(|error| classify(&error)).and_then(value)
                })
            }
        }
    };
}

store!(MultiplexedConnection);
store!(ClusterConnection);

/// How a script is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Hash,
    Whole,
}

fn encode(command: &Command, text: Text) -> Cmd {
    let mut cmd = Cmd::new();
    if let Some(script) = command.script {
        match text {
            Text::Hash => cmd.arg("EVALSHA").arg(script.hash()),
            Text::Whole => cmd.arg("EVAL").arg(script.text),
        };
        cmd.arg(command.keys);
    }
    for word in &command.words {
        cmd.arg(word.as_slice());
    }
    cmd
}

impl Script {
    fn hash(&self) -> &str {
        let hash = || redis::Script::new(self.text).get_hash().to_owned();
        self.hash.get_or_init(hash)
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether the whole store is of no use, or one command was wrong.
fn classify(error: &RedisError) -> StoreError {
    use redis::ErrorKind as Kind;
    // Answers that every command which writes would get.
    const UNUSABLE: [&str; 13] = [
        "ASK",
        "CLUSTERDOWN",
        "LOADING",
        "MASTERDOWN",
        "MISCONF",
        "MOVED",
        "NOAUTH",
        "NOREPLICAS",
        "OOM",
        "READONLY",
        "TRYAGAIN",
        "UNBLOCKED",
        "WRONGPASS",
    ];
    let is_refused = match error.kind() {
        Kind::Server(_) | Kind::Extension => {
            !error.code().is_some_and(|code| UNUSABLE.contains(&code))
        }
        Kind::UnexpectedReturnType => true,
        _ => false,
    };
    let text = error.to_string().into();
    if is_refused {
        StoreError::Refused(text)
    } else {
        StoreError::Unusable(text)
    }
}

fn value(value: redis::Value) -> Result<Value, StoreError> {
    Ok(match value {
        redis::Value::Nil => Value::Nil,
        redis::Value::Int(integer) => Value::Integer(integer),
        redis::Value::BulkString(bytes) => Value::Bytes(bytes),
        redis::Value::SimpleString(text) => Value::Status(text),
        redis::Value::Okay => Value::Status("OK".to_owned()),
        redis::Value::Array(values) => {
            let values = values.into_iter().map(self::value);
            Value::List(values.collect::<Result<_, _>>()?)
        }
        _ => return Err(StoreError::Refused("it answered in RESP3".into())),
    })
}
