//! `lb-cli serve` without any configuration: a demonstration on loopback.

/// The example application of the library, which is what is shown.
#[expect(dead_code, reason = "its `main` is for running it alone")]
#[path = "../../lb-server/examples/app.rs"]
mod app;

use std::env;
use std::ffi::OsString;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use lb_server::{
    AccessLogConfig, AdminConfig, Algorithm, BackendConfig, CacheConfig, LoadBalancerConfig,
    RateLimitConfig, RedisConfig, Running, Server, ServerConfig, SessionConfig, StoreKind,
};

use crate::args::{AccessLog, ServeArguments};
use crate::demo_backend::{self, Toy};
use crate::failure::{Exit, Failure};
use crate::logging::Log;
use crate::output;
use crate::serve::{Signals, announce, start_failure, until_signalled};

const LISTEN: &str = "127.0.0.1:8443";
const ADMIN: &str = "127.0.0.1:9900";
const DELAYS_MS: [(&str, u64); 3] = [("a", 0), ("b", 10), ("c", 40)];

/// Serves the example application in front of three toy backends, until a signal.
pub(crate) async fn serve(arguments: &ServeArguments, log: Log) -> Result<Exit, Failure> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "starting the demonstration"
    );
    let mut signals = Signals::listen()?;
    let mut backends = Vec::new();
    for (name, delay_ms) in DELAYS_MS {
        let toy = Toy::new(name, Duration::from_millis(delay_ms));
        backends.push(demo_backend::start(toy, 0, false).await?);
    }
    let mut server = server(arguments, &backends)?;
    server.set_log_control(log);
    if let Some(admin) = admin_api(arguments.admin.as_deref())? {
        server.set_admin(admin).map_err(start_failure)?;
    }
    let running = server.start().await.map_err(start_failure)?;
    announce(&running);
    explain(&running, &backends);
    until_signalled(running, &mut signals).await
}

/// Where the admin API is; an address that nobody asked for and that is taken is none.
fn admin_api(wanted: Option<&str>) -> Result<Option<AdminConfig>, Failure> {
    let address = match wanted {
        Some("off") => return Ok(None),
        Some(address) => address,
        None if TcpListener::bind(ADMIN).is_ok() => ADMIN,
        None => {
            output::message(format_args!(
                "{ADMIN} is taken, so there is no admin API; `--admin ADDR` puts it elsewhere"
            ));
            return Ok(None);
        }
    };
    let address = address
        .parse()
        .context("the address of the admin API cannot be used")
        .map_err(|error| {
            Failure::usage(
                error,
                "write `--admin 127.0.0.1:9900` or `--admin unix:/run/lb.sock`",
            )
        })?;
    Ok(Some(AdminConfig::at(address)))
}

/// The Redis that demonstrations share, and the file with the secret of their cookies, where the environment names both.
fn shared() -> Result<Option<(RedisConfig, OsString)>, Failure> {
    let (Some(url), Some(secret)) = (env::var_os("REDIS_URL"), env::var_os("SECRET_FILE")) else {
        return Ok(None);
    };
    let redis = RedisConfig::new(url.to_string_lossy())
        .context("REDIS_URL cannot be used")
        .map_err(|error| Failure::usage(error, "write REDIS_URL=redis://127.0.0.1:6379"))?;
    Ok(Some((redis, secret)))
}

fn server(arguments: &ServeArguments, backends: &[Running]) -> Result<Server, Failure> {
    let listen = arguments.listen.as_deref().unwrap_or(LISTEN);
    let format = arguments.access_log.and_then(AccessLog::format);
    let access_log = format.map_or_else(AccessLogConfig::off, |format| {
        AccessLogConfig::default().format(format)
    });
    let mut listener = ServerConfig::new(listen)
        .tls_self_signed(&["localhost", "127.0.0.1", "::1"])
        .access_log(access_log);
    // Sessions end with the demonstration, unless several of them share theirs.
    let mut sessions = SessionConfig::ephemeral();
    let mut cache = CacheConfig::default();
    if let Some((redis, secret)) = shared()? {
        listener = listener.redis(redis);
        sessions = SessionConfig::secret_file(secret).store(StoreKind::Redis);
        cache = cache.store(StoreKind::Redis);
    }
    let mut server = Server::new(
        listener,
        LoadBalancerConfig::new(Algorithm::RoundRobin),
        sessions,
        RateLimitConfig::off(),
        cache,
    )
    .map_err(start_failure)?;
    for backend in backends {
        let url = format!("http://{}", backend.local_addr());
        let backend = BackendConfig::new(&url)
            .context("a backend of the demonstration has no usable address")
            .map_err(|error| Failure::failed(error, "report this as a bug"))?;
        server.add_backend(backend).map_err(start_failure)?;
    }
    server.set_request_handler(app::app);
    Ok(server)
}

fn explain(running: &Running, backends: &[Running]) {
    let port = running.local_addr().port();
    for (backend, (name, delay_ms)) in backends.iter().zip(DELAYS_MS) {
        output::message(format_args!(
            "backend {name}, which waits {delay_ms} ms: http://{}",
            backend.local_addr()
        ));
    }
    if let Some(admin) = running.admin_addr() {
        output::message(format_args!("dashboard and admin API: {admin}"));
    }
    let sessions = if running.handle().metrics().redis.is_some() {
        "Sessions and cache are in REDIS_URL, for all that know it and the secret in SECRET_FILE."
    } else {
        "Sessions are signed with a random secret and end with this process."
    };
    output::message(format_args!(
        "\nTry:\n\
         \x20 curl -k --http2 https://localhost:{port}/api/users\n\
         \x20 curl -k --http2 https://localhost:{port}/          # repeat: another backend each time\n\
         \x20 curl -k --http2 -c jar -d '{{\"username\":\"demo\",\"password\":\"demo\"}}' https://localhost:{port}/api/login\n\
         \x20 curl -k --http2 -b jar https://localhost:{port}/api/protected\n\
         \x20 curl -k --http2 -b jar -c jar -X POST https://localhost:{port}/api/logout\n\
         \n\
         {sessions}\n\
         This is a demonstration; `lb-cli init` writes a real configuration."
    ));
}
