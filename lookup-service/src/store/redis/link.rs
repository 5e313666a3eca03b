//! A connection to the master, made anew where it broke or the master is another.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisError, ScriptInvocation,
    TlsMode,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config;
use crate::store::StoreError;

/// How long to wait for a connection, with all that is asked for it.
const CONNECT: Duration = Duration::from_millis(750);

/// How long none is tried after one was not to be had: whoever asks meanwhile goes to the forge at once.
const REST: Duration = Duration::from_millis(500);

/// Where the master is.
enum Master {
    Known(Box<Client>),
    Asked(Box<SentinelClient>),
}

/// A connection.
pub(super) struct Link {
    state: Mutex<State>,
    timeout: Duration,
}

struct State {
    master: Master,
    /// The connection, and which one it is.
    open: Option<(u64, MultiplexedConnection)>,
    count: u64,
    /// When the last try failed, and why.
    failed: Option<(Instant, StoreError)>,
}

impl Link {
    /// Of a Redis, each answer of which comes within `timeout`.
    pub(super) fn new(redis: &config::Redis, timeout: Duration) -> Result<Self, RedisError> {
        let master = master(redis)?;
        Ok(Self { state: Mutex::new(State { master, open: None, count: 0, failed: None }), timeout })
    }

    /// The connection, and which one it is.
    pub(super) async fn get(&self) -> Result<(u64, MultiplexedConnection), StoreError> {
        let mut state = self.state.lock().await;
        if let Some(open) = &state.open {
            return Ok(open.clone());
        }
        // Also for those who waited while it was tried.
        if let Some((_, error)) = state.failed.as_ref().filter(|(then, _)| then.elapsed() < REST) {
            return Err(error.clone());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(self.timeout));
        let connecting = async {
            match &mut state.master {
                Master::Known(client) => client.get_multiplexed_async_connection_with_config(&config).await,
                Master::Asked(sentinels) => sentinels.get_async_connection_with_config(&config).await,
            }
        };
        let connected = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(said),
            Err(_) => Err(StoreError::Away("no connection in time".into())),
        };
        let connection = connected.inspect_err(|error| state.failed = Some((Instant::now(), error.clone())))?;
        state.count += 1;
        let open = (state.count, connection);
        state.open = Some(open.clone());
        Ok(open)
    }

    /// Gives a connection up, so that the next one that asks gets another.
    pub(super) async fn drop_it(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.open.as_ref().is_some_and(|(open, _)| *open == number) {
            state.open = None;
        }
    }

    /// Runs a script, which does no harm a second time: once more where the connection had broken since it was last used.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let (number, mut connection) = self.get().await?;
        let said = script.invoke_async(&mut connection).await;
        if !said.as_ref().is_err_and(|error: &RedisError| error.is_unrecoverable_error() && !error.is_timeout()) {
            return self.checked(number, said).await;
        }
        self.drop_it(number).await;
        let (number, mut connection) = self.get().await?;
        self.checked(number, script.invoke_async(&mut connection).await).await
    }

    /// What was said on a connection. One that is of no more use is given up.
    pub(super) async fn checked<T>(&self, number: u64, said: Result<T, RedisError>) -> Result<T, StoreError> {
        match said {
            Ok(said) => Ok(said),
            Err(error) => {
                // What the server says of a command is said by a server that is there; a replica is no master any more.
                if !matches!(error.code(), Some("OOM" | "NOREPLICAS" | "NOSCRIPT" | "ERR")) {
                    self.drop_it(number).await;
                }
                Err(self::said(error))
            }
        }
    }
}

/// What an error means. No key and no value is part of its text.
pub(super) fn said(error: RedisError) -> StoreError {
    match error.code() {
        Some("OOM") => StoreError::Full,
        Some("NOREPLICAS") => StoreError::Lonely,
        Some(code) => StoreError::Away(code.to_owned()),
        None => StoreError::Away(error.category().to_owned()),
    }
}

fn master(redis: &config::Redis) -> Result<Master, RedisError> {
    let password = redis.password.as_ref().map(|password| String::from_utf8_lossy(password.expose()).into_owned());
    if redis.sentinels.is_empty() {
        let info = redis.url.as_str().into_connection_info()?;
        let mut settings = info.redis_settings().clone();
        if let Some(username) = &redis.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        return Client::open(info.set_redis_settings(settings)).map(|client| Master::Known(Box::new(client)));
    }
    let sentinels = redis.sentinels.iter().map(|(host, port)| ConnectionAddr::Tcp(host.clone(), *port));
    let mut builder = SentinelClientBuilder::new(sentinels, &redis.master, SentinelServerType::Master)?;
    if let Some(username) = &redis.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_redis_password(password);
    }
    if redis.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    builder.build().map(|sentinels| Master::Asked(Box::new(sentinels)))
}
