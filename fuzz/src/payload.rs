//! What holds of a payload that a runner gets of its job, whatever stands in it.

use std::sync::LazyLock;

use policy::Config;
use policy::lifecycle::{Fate, Runner, Watch};
use serde_json::{Value, json};

static REWRITING: LazyLock<Config> = LazyLock::new(|| {
    let document = json!({
        "forge": {"hosts": ["gitlab.example.com"]},
        "lookup": {"cluster": "lookup", "authority": "gitlab.example.com", "credential_env": "TOKEN"},
        "runner": {"pull_policy": {"mode": "enforce"}},
    });
    Config::parse(document.to_string().as_bytes()).expect("a sound configuration")
});

/// Fails where a payload is changed in another way than in its pull policies.
pub fn check(payload: &[u8]) {
    let Fate::Replaced(new) = fate(payload) else { return };
    assert_eq!(fate(&new), Fate::Kept, "once is enough");
    // Deeper, or with larger numbers, than a tree of it can be.
    let (Ok(mut old), Ok(mut new)) = (serde_json::from_slice(payload), serde_json::from_slice(&new)) else { return };
    let before = take_policies(&mut old);
    let after = take_policies(&mut new);
    assert_eq!(old, new, "something else was changed");
    assert_eq!(before.len(), after.len());
    for policies in after.into_iter().flatten() {
        let is_allowed = |policies: &Vec<Value>| !policies.is_empty() && policies.iter().all(|name| name == "always");
        assert!(policies.as_array().is_some_and(is_allowed), "{policies} is left");
    }
}

fn fate(payload: &[u8]) -> Fate {
    Watch::JobRequest(Runner::Shared).body(&REWRITING, Some(payload)).fate
}

/// Takes the pull policy out of each image.
fn take_policies(payload: &mut Value) -> Vec<Option<Value>> {
    let mut policies = Vec::new();
    if let Some(image) = member(payload, "image").filter(|image| image.is_object()) {
        policies.push(take_policy(image));
    }
    let services = member(payload, "services").and_then(Value::as_array_mut);
    policies.extend(services.into_iter().flatten().filter(|service| service.is_object()).map(take_policy));
    policies
}

fn take_policy(image: &mut Value) -> Option<Value> {
    let name = image.as_object()?.keys().find(|name| folded(name) == "pull_policy")?.clone();
    image.as_object_mut()?.remove(&name)
}

fn member<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    object.as_object_mut()?.iter_mut().find(|(known, _)| folded(known) == name).map(|(_, value)| value)
}

/// A name as a reader reads it that folds case.
fn folded(name: &str) -> String {
    name.to_lowercase().replace('\u{17f}', "s")
}
