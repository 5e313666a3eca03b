//! Whole services, before a stand-in forge and over a real Redis.

mod caller;
mod faults;
mod fleet;
mod fleet_faults;
mod forge;
#[cfg(feature = "gitea")]
mod gitea;
mod identities;
pub(crate) mod issuer;
mod limits;
#[cfg(feature = "gitea")]
mod postgres;
mod processes;
mod secrets;
mod tls;
mod webhooks;

use std::collections::BTreeMap;

use caller::{Caller, NEXT_TOKEN, TOKEN};
use forge::{SERVICE_ACCOUNT, StandIn};

use crate::config::{self, Config, Surroundings};
use crate::service::Service;
use crate::store::redis::server::Server;

/// The secret of hashes and seals.
const KEY: &str = "store-secret-of-32-bytes-or-more!";

/// A configuration of a service before this forge, over this Redis or its own memory; `more` are further keys, each on a line
/// of its own as `path: value`.
fn configuration(forge: &StandIn, redis: Option<&Server>, more: &[&str]) -> Config {
    let mut keys: BTreeMap<String, String> = [
        ("api.listen", "127.0.0.1:0"),
        ("api.callers_env", "[CALLER, NEXT_CALLER]"),
        ("operations.listen", "127.0.0.1:0"),
        ("forge.credential_env", "FORGE"),
        ("sweep.every", "1h"),
        ("store.kind", "memory"),
    ]
    .map(|(path, value)| (path.to_owned(), value.to_owned()))
    .into();
    keys.insert("forge.url".into(), format!("http://{}/gitlab/", forge.address));
    if let Some(redis) = redis {
        let redis = [("kind", "redis"), ("url", &redis.url()), ("replicas", "0"), ("key_env", "KEY")];
        keys.extend(redis.map(|(name, value)| (format!("store.{name}"), value.to_owned())));
    }
    keys.extend(more.iter().map(|line| {
        let (path, value) = line.split_once(": ").unwrap();
        (path.to_owned(), value.to_owned())
    }));
    let env = |name: &str| {
        let all = [("CALLER", TOKEN), ("NEXT_CALLER", NEXT_TOKEN), ("FORGE", SERVICE_ACCOUNT), ("KEY", KEY)];
        all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    let around = Surroundings { env: &env, file: &|path| std::fs::read(path) };
    config::read(&nested(&keys), &around).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A YAML document of keys by their paths.
fn nested(keys: &BTreeMap<String, String>) -> String {
    let mut document = serde_json::Map::new();
    for (path, value) in keys {
        let mut at = &mut document;
        let mut names: Vec<&str> = path.split('.').collect();
        let last = names.pop().unwrap();
        for name in names {
            let inner = at.entry(name).or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            at = inner.as_object_mut().unwrap();
        }
        at.insert(last.to_owned(), serde_saphyr::from_str(value).unwrap());
    }
    serde_json::Value::Object(document).to_string()
}

async fn service(forge: &StandIn, redis: Option<&Server>, more: &[&str]) -> (Service, Caller) {
    let service = Service::start(configuration(forge, redis, more)).await.unwrap();
    let caller = Caller::of(service.address);
    (service, caller)
}
