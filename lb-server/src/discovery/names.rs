//! Name servers, by the `hickory-resolver` crate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::lookup_ip::LookupIp;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{Answer, Lookup, Names, Place, Service};
use crate::config::{DiscoverRecords, DnsConfig};
use crate::error::{Error, ErrorKind};

/// How long one server has for an answer, before it is asked again or another is.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Hosts of a service whose addresses are asked for side by side.
const HOSTS_AT_ONCE: usize = 8;

/// The name servers of a configuration, or those of the system.
#[derive(Debug)]
pub(super) struct Servers {
    config: DnsConfig,
}

impl Servers {
    pub(super) fn new(config: &DnsConfig) -> Self {
        Self {
            config: config.clone(),
        }
    }

    fn resolver(&self) -> Result<TokioResolver, NetError> {
        let mut builder = if self.config.servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = self.config.servers.iter().map(|server| {
                let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for connection in &mut connections {
                    connection.port = server.port();
                }
                NameServerConfig::new(server.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // Answers are kept here for as long as they hold, and by whom is asked.
        options.cache_size = 0;
        options.timeout = ATTEMPT;
        builder.build()
    }
}

impl Names for Servers {
    fn open(&self) -> Result<Arc<dyn Lookup>, Error> {
        let resolver = self.resolver().map_err(|error| {
            Error::new(ErrorKind::Start, "no name server can be asked").with_source(error)
        })?;
        Ok(Arc::new(resolver))
    }
}

impl Lookup for TokioResolver {
    fn look<'a>(
        &'a self,
        name: &'a str,
        records: DiscoverRecords,
    ) -> BoxFuture<'a, Result<Answer, Box<str>>> {
        Box::pin(async move {
            let looked = match records {
                DiscoverRecords::Addresses => addresses(self, name).await.map(|found| {
                    let place = |address| Place {
                        address,
                        service: None,
                    };
                    (found.0.into_iter().map(place).collect(), found.1)
                }),
                DiscoverRecords::Services => services(self, name).await,
            };
            match looked {
                Ok((mut places, ttl)) => {
                    places.sort();
                    places.dedup_by(|one, other| one.is_same_place(other));
                    Ok(Answer { places, ttl })
                }
                Err(error) if error.is_no_records_found() => Ok(Answer::default()),
                Err(error) => Err(error.to_string().into()),
            }
        })
    }
}

impl Place {
    fn is_same_place(&self, other: &Self) -> bool {
        let port = |place: &Self| place.service.as_ref().map(|service| service.port);
        self.address == other.address && port(self) == port(other)
    }
}

async fn addresses(
    resolver: &TokioResolver,
    name: &str,
) -> Result<(Vec<IpAddr>, Duration), NetError> {
    let found = match resolver.lookup_ip(name).await {
        Ok(found) => found,
        // That is what was said of A records. Whether AAAA records lack too or were not to be had decides
        // between an answer and none.
        Err(nobody) if nobody.is_no_records_found() => {
            let found = resolver.ipv6_lookup(name).await?;
            LookupIp::from(found)
        }
        Err(error) => return Err(error),
    };
    let ttls = found.as_lookup().answers().iter().map(|record| record.ttl);
    let ttl = Duration::from_secs(ttls.min().unwrap_or_default().into());
    Ok((found.iter().collect(), ttl))
}

/// The addresses of every host that offers a service (RFC 2782).
async fn services(
    resolver: &TokioResolver,
    name: &str,
) -> Result<(Vec<Place>, Duration), NetError> {
    let found = resolver.lookup(name, RecordType::SRV).await?;
    let mut ttl = Duration::MAX;
    let mut services = Vec::new();
    for record in found.answers() {
        if let RData::SRV(service) = &record.data {
            ttl = ttl.min(Duration::from_secs(record.ttl.into()));
            services.push(service.clone());
        }
    }
    let lowest = services.iter().map(|service| service.priority).min();
    // "." says that there is no such service.
    services.retain(|service| !service.target.is_root());
    let looked = services.into_iter().map(|service| async move {
        let host = service.target.to_utf8();
        let found = addresses(resolver, &host).await;
        (service, host, found)
    });
    let mut looked = stream::iter(looked).buffered(HOSTS_AT_ONCE);
    let mut places = Vec::new();
    while let Some((service, host, found)) = looked.next().await {
        let (found, holds) = match found {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => continue,
            Err(error) => return Err(error),
        };
        ttl = ttl.min(holds);
        let service = Service {
            host: host.trim_end_matches('.').into(),
            port: service.port,
            weight: service.weight,
            is_later: Some(service.priority) != lowest,
        };
        places.extend(found.into_iter().map(|address| Place {
            address,
            service: Some(service.clone()),
        }));
    }
    Ok((places, ttl))
}

#[cfg(test)]
mod tests;
