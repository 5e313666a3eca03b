//! Waits at the stream of ended jobs, on a connection of its own, for all polls of this process.

use std::time::Duration;

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamRangeReply, StreamReadReply};
use tokio::sync::watch;
use tokio::time::sleep;

use super::link::Link;
use crate::config;
use crate::store::StoreError;

/// How long Redis holds a read that finds nothing.
const BLOCK: Duration = Duration::from_secs(2);

/// How long to wait where the store is away.
const AGAIN: Duration = Duration::from_millis(250);

/// What changes with every news, and who has it change.
pub(super) fn follow(
    redis: &config::Redis,
    stream: String,
) -> Result<(watch::Receiver<u64>, impl Future<Output = ()> + use<>), RedisError> {
    let link = Link::new(redis, BLOCK * 2)?;
    let (tell, news) = watch::channel(0);
    let follow = async move {
        while !tell.is_closed() {
            if read(&link, &stream, &tell).await.is_err() {
                sleep(AGAIN).await;
            }
        }
    };
    Ok((news, follow))
}

/// Reads until something fails. A new connection may be to another master: that is news too.
async fn read(link: &Link, stream: &str, tell: &watch::Sender<u64>) -> Result<(), StoreError> {
    let (number, mut connection) = link.get().await?;
    warn_of_evictions(number, link, &mut connection).await?;
    let mut newest = redis::cmd("XREVRANGE");
    newest.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let said: Result<StreamRangeReply, RedisError> = newest.query_async(&mut connection).await;
    let said = link.checked(number, said).await?;
    let mut last = said.ids.into_iter().next().map_or_else(|| "0-0".to_owned(), |entry| entry.id);
    tell.send_modify(|news| *news += 1);
    while !tell.is_closed() {
        let mut read = redis::cmd("XREAD");
        read.arg("BLOCK").arg(crate::clock::milliseconds(BLOCK)).arg("STREAMS").arg(stream).arg(&last);
        let said: Result<Option<StreamReadReply>, RedisError> = read.query_async(&mut connection).await;
        let said = link.checked(number, said).await?;
        let entries = said.into_iter().flat_map(|said| said.keys).flat_map(|key| key.ids);
        if let Some(entry) = entries.last() {
            last = entry.id;
        }
        // Also where nothing came: who waits sees whether the store is still to be believed.
        tell.send_modify(|news| *news += 1);
    }
    Ok(())
}

/// An end that is evicted is lost, and nobody else would say so.
async fn warn_of_evictions(number: u64, link: &Link, connection: &mut MultiplexedConnection) -> Result<(), StoreError> {
    let mut info = redis::cmd("INFO");
    let said: Result<String, RedisError> = info.arg("memory").query_async(connection).await;
    let said = link.checked(number, said).await?;
    let policy = said.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    if let Some(policy) = policy.filter(|policy| *policy != "noeviction") {
        tracing::warn!(policy, "Redis may forget ends: set `maxmemory-policy noeviction`");
    }
    Ok(())
}
