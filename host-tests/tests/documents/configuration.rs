//! The examples in docs/configuration.md are configurations that are taken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use policy::Config;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/configuration.md");

#[test]
fn every_example_is_taken() {
    let mut examples = 0;
    for block in PAGE.split("```yaml\n").skip(1) {
        let (example, _) = block.split_once("```").expect("the end of an example");
        let written: Value = serde_saphyr::from_str(example).expect(example);
        let mut document = json!({
            "forge": {"hosts": ["gitlab.example.com"]},
            "lookup": {"cluster": "token-lookup", "authority": "gitlab.example.com", "credential_env": "TOKEN"},
        });
        for (key, value) in written.as_object().expect(example) {
            document[key] = value.clone();
        }
        if let Err(errors) = Config::parse(document.to_string().as_bytes()) {
            panic!("{example}\n{errors}");
        }
        examples += 1;
    }
    assert!(examples >= 5, "{examples}");
}
