//! Endpoints that the configuration adds to the table, or changes in it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use super::added::Added;
use super::nearest::near;
use super::reader::{ConfigError, Reader, cut, shown};

const PATH: &str = "forge.endpoints";
const KEYS: [&str; 3] = ["method", "path", "action"];

/// Each is tried for each request of the API.
pub(super) const MOST: usize = 200;

/// Reads the list, and reports everything that is wrong in it.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Vec<Added>> {
    let listed = reader.endpoints(PATH)?;
    let (mut added, mut errors): (Vec<Added>, Vec<ConfigError>) = (Vec::new(), Vec::new());
    for (at, one) in listed.iter().enumerate() {
        let path = format!("{PATH}[{at}]");
        match read_one(&path, one, &mut errors) {
            Some(one) if added.iter().any(|before| before.hides(&one)) => {
                let expected = "a method and path that no endpoint before it has";
                errors.push(wrong(&path, expected, one_line(listed.get(at))));
            }
            Some(one) => added.push(one),
            None => {}
        }
    }
    let is_sound = errors.is_empty();
    reader.report(errors);
    is_sound.then_some(added)
}

fn read_one(path: &str, value: &Value, errors: &mut Vec<ConfigError>) -> Option<Added> {
    let Some(members) = value.as_object() else {
        errors.push(wrong(path, "an object of `method`, `path` and `action`", shown(value)));
        return None;
    };
    let before = errors.len();
    for name in members.keys().filter(|name| !KEYS.contains(&name.as_str())) {
        let meant = near(name, KEYS.into_iter()).map(Into::into);
        errors.push(ConfigError::Unknown { path: format!("{path}.{}", cut(name)), meant });
    }
    for name in KEYS.into_iter().filter(|name| !members.contains_key(*name)) {
        errors.push(ConfigError::Missing { path: format!("{path}.{name}").into(), expected: "a text".to_owned() });
    }
    if errors.len() > before {
        return None;
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
    let [method, pattern, action] = KEYS.map(text);
    let flaws = match Added::of(method, pattern, action) {
        Ok(added) => return Some(added),
        Err(flaws) => flaws,
    };
    errors.extend(flaws.into_iter().map(|flaw| {
        let (name, expected) = flaw.expects();
        wrong(&format!("{path}.{name}"), expected, one_line(members.get(name)))
    }));
    None
}

fn wrong(path: &str, expected: &str, found: String) -> ConfigError {
    ConfigError::Value { path: path.to_owned().into(), expected: expected.to_owned(), found }
}

fn one_line(value: Option<&Value>) -> String {
    value.map_or_else(String::new, shown)
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use super::*;
    use crate::Config;

    fn config(forge: &str) -> Result<Config, String> {
        let document = format!(
            r#"{{"forge": {{"hosts": ["h"], {forge}}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}}}"#
        );
        Config::parse(document.as_bytes()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn every_error_of_every_endpoint_is_told_with_its_path() {
        let errors = config(
            r#""endpoints": [
                {"method": "GET", "path": "/projects/:project/x/:name", "action": "repository.read"},
                {"method": "get", "path": "/users", "action": "repository.raed"},
                {"method": "GET", "path": "/projects/:project/x/:other", "action": "api.unlisted"},
                {"method": "GET", "path": "/projects/:project/y", "actoin": "repository.read"},
                7
            ]"#,
        )
        .unwrap_err();
        for expected in [
            "7 errors",
            "forge.endpoints[1].method: expected one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, found `\"get\"`",
            "forge.endpoints[1].path: expected a pattern such as",
            "forge.endpoints[1].action: expected an action of the API",
            "forge.endpoints[2]: expected a method and path that no endpoint before it has",
            "forge.endpoints[3].actoin: unknown key, did you mean `action`",
            "forge.endpoints[3].action: missing, expected a text",
            "forge.endpoints[4]: expected an object of `method`, `path` and `action`, found `7`",
        ] {
            assert!(errors.contains(expected), "{expected}\n{errors}");
        }
        assert!(config(r#""endpoints": {}"#).unwrap_err().contains("forge.endpoints: expected a list of at most 200"));
        let generic = config(
            r#""kind": "generic", "endpoints": [{"method": "GET", "path": "/projects/:project/y", "action": "repository.read"}]"#,
        );
        assert!(generic.unwrap_err().contains("forge.endpoints: expected no endpoints, since the table is GitLab's"));
    }

    #[test]
    fn a_version_is_a_word_a_text_or_a_number_that_is_one_version_alone() {
        use crate::facts::Version;
        for (written, version) in [
            (r#""newest""#, Version::NEWEST),
            (r#""lookup""#, Version::NEWEST),
            (r#""18.8""#, Version(18, 8)),
            (r#""18.10""#, Version(18, 10)),
            (r#""18.1""#, Version(18, 1)),
            ("18.8", Version(18, 8)),
            ("18.11", Version(18, 11)),
            ("18", Version(18, 0)),
            ("19.0", Version(19, 0)),
        ] {
            assert_eq!(config(&format!(r#""version": {written}"#)).unwrap().forge.version, version, "{written}");
        }
        for bad in ["18.1", "18.10", r#""18""#, r#""latest""#, "true", "-18.2", r#""Lookup""#] {
            let errors = config(&format!(r#""version": {bad}"#)).unwrap_err();
            assert!(
                errors.contains("forge.version: expected `newest`, `lookup`, or a version such as `18.8`"),
                "{bad}: {errors}"
            );
        }
    }
}
