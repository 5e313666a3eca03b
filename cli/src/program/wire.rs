//! The way to a lookup service: HTTP/1.1, with the system's certificates, by nobody's proxy, and nowhere else than told.

use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use policy::config::ServiceToken;
use policy::facts::Secret;
use policy::lookup::{Account, Call};
use questions::live::endpoint::Endpoint;
use questions::live::{Reply, Sent, Service, Trouble};
use questions::marked::Node;
use questions::named;
use questions::setup::Setup;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use ureq::config::Config;
use ureq::http::{HeaderMap, Request, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use super::arguments::Reached;
use super::{Fault, files};

/// How long an answer is awaited, in what a request waits for its facts, and at least and at most: longer than any filter
/// waits, so that it can be told how long it took.
const PATIENCE: (u32, Duration, Duration) = (5, Duration::from_secs(2), Duration::from_secs(60));

/// A longer answer no filter takes.
const LONGEST: u64 = 4 << 20;

/// A lookup service, over the network.
pub(crate) struct Wire {
    agent: Agent,
    base: String,
    host: String,
    authority: String,
    patience: Duration,
}

impl Wire {
    /// The way to a service that a configuration asks.
    pub(crate) fn to(endpoint: &Endpoint, setup: &Setup, ca: Option<&std::path::Path>) -> Result<Self, Fault> {
        let lookup = &setup.config.lookup;
        let (times, least, most) = PATIENCE;
        let patience = lookup.timeout.saturating_mul(times).clamp(least, most);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent("jobscope")
            .timeout_global(Some(patience));
        let mut name = endpoint.host.as_str();
        if let Some(tls) = &endpoint.tls {
            name = tls.name.as_deref().unwrap_or(name);
            let ca = ca.or(tls.trusted.as_deref().map(std::path::Path::new));
            config = config.tls_config(
                TlsConfig::builder()
                    .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .root_certs(ca.map_or_else(|| Ok(system()), certificates)?)
                    .build(),
            );
        }
        let place = Place { host: endpoint.host.clone(), port: endpoint.port };
        let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
        let name = if name.contains(':') { format!("[{name}]") } else { name.to_owned() };
        Ok(Self {
            agent: Agent::with_parts(config.build(), DefaultConnector::new(), place),
            base: format!("{scheme}://{name}:{}", endpoint.port),
            host: endpoint.host.clone(),
            authority: lookup.authority.clone(),
            patience,
        })
    }

    fn exchange(&self, call: &Call) -> Result<Reply, Trouble> {
        let mut request = Request::builder().method(call.method).uri(format!("{}{}", self.base, call.path));
        request = request.header("host", &self.authority);
        for (name, value) in &call.headers {
            request = request.header(*name, value.as_slice());
        }
        let trouble = |error| self.trouble(error);
        let sent = if call.body.is_empty() {
            request.body(()).map_err(|error| trouble(error.into())).and_then(|it| self.agent.run(it).map_err(trouble))
        } else {
            let request = request.body(call.body.clone()).map_err(|error| trouble(error.into()));
            request.and_then(|it| self.agent.run(it).map_err(trouble))
        };
        let mut answer = sent?;
        let text = |headers: &HeaderMap, name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let headers = answer.headers();
        let reply = Reply {
            status: answer.status().as_u16(),
            next_page: headers.get("x-next-page").map(|page| page.as_bytes().to_vec()),
            location: text(headers, "location"),
            content_type: text(headers, "content-type"),
            date: text(headers, "date").as_deref().and_then(moment),
            body: Vec::new(),
        };
        let body = answer.body_mut().with_config().limit(LONGEST).read_to_vec().map_err(trouble)?;
        Ok(Reply { body, ..reply })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what a library names of errors grows, and the rest is told in its words"
    )]
    fn trouble(&self, error: Error) -> Trouble {
        match error {
            Error::HostNotFound => Trouble::Name(self.host.clone()),
            Error::Timeout(_) => Trouble::Time(self.patience),
            Error::Tls(text) => Trouble::Tls(text.to_owned()),
            Error::Rustls(error) => Trouble::Tls(error.to_string()),
            Error::Protocol(error) => Trouble::Protocol(error.to_string()),
            Error::BodyExceedsLimit(_) => Trouble::Length,
            Error::Io(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                Trouble::Time(self.patience)
            }
            Error::Io(error) => of_io(&error),
            other => Trouble::Connection(other.to_string()),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the same")]
fn of_io(error: &io::Error) -> Trouble {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Trouble::Tls(tls.to_string());
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Trouble::Ended,
        io::ErrorKind::InvalidData => Trouble::Protocol(named::plain(error)),
        _ => Trouble::Connection(named::plain(error)),
    }
}

impl Service for Wire {
    fn send(&mut self, call: &Call) -> Sent {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let clock = Instant::now();
        let reply = self.exchange(call);
        Sent { began, took: clock.elapsed(), reply }
    }
}

/// Where a service listens, whatever name its certificate has.
#[derive(Debug)]
struct Place {
    host: String,
    port: u16,
}

impl Resolver for Place {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = (self.host.as_str(), self.port).to_socket_addrs().map_err(|_| Error::HostNotFound)?;
        let mut addresses = self.empty();
        found.take(16).for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// The certificates that the system trusts. Those that cannot be read are not trusted.
fn system() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    let found: Vec<Certificate<'static>> = found.iter().map(|one| Certificate::from_der(one).to_owned()).collect();
    RootCerts::new_with_certs(&found)
}

/// The certificates of a file.
fn certificates(path: &std::path::Path) -> Result<RootCerts, Fault> {
    let bytes = files::bytes(path)?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(one)) => found.push(one),
            Ok(_) => {}
            Err(error) => return Err(Fault(format!("cannot read the certificates of `{}`: {error}", path.display()))),
        }
    }
    if found.is_empty() {
        return Err(Fault(format!("expected certificates in PEM, found none in `{}`", path.display())));
    }
    Ok(RootCerts::new_with_certs(&found))
}

/// A moment as HTTP writes it, since 1970.
fn moment(text: &str) -> Option<Duration> {
    let moment = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    u64::try_from(moment.unix_timestamp()).ok().map(Duration::from_secs)
}

/// The service account's token: of a file, or of the environment as the filter gets it; `None` where none is configured.
pub(crate) fn account(setup: &Setup, reached: &Reached) -> Result<Option<Account>, Fault> {
    let (found, place) = match (&reached.token_file, &setup.config.lookup.service_token) {
        (Some(path), _) => (files::bytes(path)?, format!("in `{}`", path.display())),
        (None, None) => return Ok(None),
        (None, Some(ServiceToken::Cluster(cluster))) => {
            let text = "adds the service account's token there: name a file with it by `--token-file`";
            return Err(Fault(format!("`lookup.service_cluster` is `{cluster}`, and Envoy {text}")));
        }
        (None, Some(ServiceToken::Environment(variable))) => {
            let found = std::env::var_os(variable).ok_or_else(|| {
                // Its name is not repeated: somebody may have put the token in its place.
                let text = "set it as for Envoy, or name a file with the token by `--token-file`";
                Fault(format!("the variable that `lookup.credential_env` names is not in the environment: {text}"))
            })?;
            (found.into_encoded_bytes(), format!("in the environment variable `{variable}`"))
        }
    };
    token(&found, &place).map(|token| Some(Account::Token(Secret::new(token.as_bytes()))))
}

/// What somebody gave as a token, and where, without the end of its line.
pub(crate) fn token<'a>(found: &'a [u8], place: &str) -> Result<&'a str, Fault> {
    let token = std::str::from_utf8(found.trim_ascii_end()).ok();
    token
        .filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| Fault(format!("expected a token {place}, printable ASCII without spaces, found something else")))
}

/// Where the service is: as somebody wrote, or as the file says that has the configuration.
pub(crate) fn endpoint(setup: &Setup, documents: &[Node], reached: &Reached) -> Result<Endpoint, Fault> {
    let found = match &reached.address {
        Some(address) => Endpoint::parse(address),
        None => Endpoint::of_cluster(documents, &setup.config.lookup.cluster),
    };
    found.map_err(|error| Fault::of(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_http_is_read() {
        assert_eq!(moment("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(784_111_777)));
        assert_eq!(moment("yesterday"), None);
    }
}
