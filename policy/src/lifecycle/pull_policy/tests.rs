use super::*;
use crate::config::PullPolicy::{Always, IfNotPresent, Never};
use proptest::prelude::*;
use std::format;
use std::string::ToString;

fn image(image: &str, allowed: &[PullPolicy]) -> String {
    let payload = format!(r#"{{"image": {image}}}"#);
    let new = narrowed(&payload, allowed).unwrap().unwrap_or(payload);
    new.strip_prefix(r#"{"image": "#).unwrap().strip_suffix('}').unwrap().to_string()
}

#[test]
fn what_is_not_allowed_is_left_out_and_the_first_that_is_stands_where_nothing_is_left() {
    let both = &[Always, IfNotPresent][..];
    for (asked, allowed, given) in [
        (r#"["always"]"#, &[Always][..], r#"["always"]"#),
        (r#"["if-not-present", "always"]"#, &[Always], r#"["always"]"#),
        (r#"["if-not-present", "always"]"#, both, r#"["if-not-present", "always"]"#),
        (r#"["never", "if-not-present"]"#, both, r#"["if-not-present"]"#),
        (r#"["never"]"#, both, r#"["always"]"#),
        (r#"["always"]"#, &[Never], r#"["never"]"#),
        ("[]", both, r#"["always"]"#),
        ("null", both, r#"["always"]"#),
    ] {
        let with = |policies: &str| format!(r#"{{"name": "a", "pull_policy": {policies}}}"#);
        assert_eq!(image(&with(asked), allowed), with(given), "{asked}");
    }
}

#[test]
fn an_image_without_a_policy_gets_one_and_a_job_without_an_image_none() {
    assert_eq!(image(r#"{"name": "a"}"#, &[Always]), r#"{"pull_policy":["always"],"name": "a"}"#);
    assert_eq!(image("{ }", &[Always]), r#"{"pull_policy":["always"] }"#);
    for none in ["{}", r#"{"image": null}"#, r#"{"image": null, "services": null}"#, r#"{"services": [ ]}"#] {
        assert_eq!(narrowed(none, &[Always]), Ok(None), "{none}");
    }
}

#[test]
fn every_service_is_looked_at() {
    let payload = r#"{"services": [{"pull_policy": ["always"]}, {"name": "b"}, {"pull_policy": "never"}], "image": {"pull_policy": ["never"]}}"#;
    let new = r#"{"services": [{"pull_policy": ["always"]}, {"pull_policy":["always"],"name": "b"}, {"pull_policy": ["always"]}], "image": {"pull_policy": ["always"]}}"#;
    assert_eq!(narrowed(payload, &[Always]), Ok(Some(new.to_string())));
}

#[test]
fn a_payload_that_is_read_in_two_ways_is_not_touched() {
    for bad in [
        r#"{"image": {"name": "a"}, "image": {"name": "b"}}"#,
        r#"{"image": {"name": "a"}, "IMAGE": {"name": "b"}}"#,
        "{\"services\": [], \"\u{17f}ervices\": []}",
        r#"{"image": {"pull_policy": ["always"], "pull\u005fpolicy": ["never"]}}"#,
        r#"{"image": "a"}"#,
        r#"{"services": {"name": "a"}}"#,
        r#"{"services": ["a"]}"#,
        r#"{"image": {"name": "a"}"#,
        r#"{"image": {"name": "a"}} {}"#,
        "[]",
        "",
    ] {
        assert_eq!(narrowed(bad, &[Always]), Err(Unread), "{bad}");
    }
}

/// Text, and what it is to become.
#[derive(Debug, Clone, Default)]
struct Written {
    before: String,
    after: String,
}

impl Written {
    fn same(text: &str) -> Self {
        Self { before: text.to_string(), after: text.to_string() }
    }

    fn then(mut self, other: &Self) -> Self {
        self.before.push_str(&other.before);
        self.after.push_str(&other.after);
        self
    }
}

fn among(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(texts).prop_map(ToString::to_string)
}

fn space() -> impl Strategy<Value = String> + Clone {
    among(&["", "", " ", "\n\t", "\r "])
}

/// Any value, full of what looks like an image or a pull policy and is in the wrong place.
fn anything() -> impl Strategy<Value = String> {
    let leaf = among(&[
        "null",
        "true",
        "-0",
        "1e400",
        "18446744073709551616.0E-2",
        r#""""#,
        r#""\"pull_policy\": [\"never\"]""#,
        r#""\u00e9\ud83d\ude00 \\""#,
        "\"h\u{e9}\"",
        r#"{"image":{"pull_policy":["never"]}}"#,
        r#"["never"]"#,
    ]);
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = among(&[r#""image""#, r#""pull_policy""#, r#""services""#, r#""a""#, r#""a""#]);
        let item = (space(), inner.clone(), space()).prop_map(|(a, value, b)| [a, value, b].concat());
        let member = (key, space(), item.clone()).prop_map(|(key, a, value)| format!("{key}{a}:{value}"));
        prop_oneof![
            (space(), prop::collection::vec(item, 1..4)).prop_map(|(a, items)| format!("[{a}{}]", items.join(","))),
            (space(), prop::collection::vec(member, 1..4))
                .prop_map(|(a, members)| format!("{{{a}{}}}", members.join(","))),
        ]
    })
}

/// Members of an object, of none of the names that count.
fn others() -> impl Strategy<Value = Vec<String>> {
    let key =
        among(&[r#""name""#, r#""pull_policies""#, r#""pull-policy""#, r#""\u0069mages""#, r#""""#, r#""variables""#]);
    prop::collection::vec((key, space(), space(), anything()).prop_map(|(k, a, b, v)| format!("{k}{a}:{b}{v}")), 0..4)
}

/// An image, with a pull policy or without, or none.
fn an_image() -> impl Strategy<Value = Written> {
    let key = among(&[r#""pull_policy""#, r#""pull\u005fpolicy""#, r#""Pull_Policy""#]);
    let policies = prop::sample::select(
        &[
            (r#"["always"]"#, r#"["always"]"#),
            (r#"[ "alw\u0061ys" , "always" ]"#, r#"[ "alw\u0061ys" , "always" ]"#),
            (r#"["if-not-present", "always"]"#, r#"["always"]"#),
            (r#"["never"]"#, r#"["always"]"#),
            (r#"["Always"]"#, r#"["always"]"#),
            (r#"["always", 1]"#, r#"["always"]"#),
            ("[ ]", r#"["always"]"#),
            ("null", r#"["always"]"#),
            (r#""never""#, r#"["always"]"#),
            (r#"{"a": [1]}"#, r#"["always"]"#),
        ][..],
    );
    let asked = prop::option::of((key, space(), policies, any::<prop::sample::Index>()));
    let image = (others(), asked, space()).prop_map(|(others, asked, a)| {
        let mut members: Vec<Written> = others.iter().map(|member| Written::same(member)).collect();
        let mut image = Written::same("{");
        match asked {
            Some((key, b, (before, after), index)) => {
                let member = Written::same(&format!("{key}{b}:{a}"));
                let policies = Written { before: before.to_string(), after: after.to_string() };
                members.insert(index.index(members.len() + 1), member.then(&policies));
            }
            None => image.after.push_str(if members.is_empty() {
                r#""pull_policy":["always"]"#
            } else {
                r#""pull_policy":["always"],"#
            }),
        }
        joined(image.then(&Written::same(&a)), &members).then(&Written::same("}"))
    });
    prop_oneof![8 => image, 1 => Just(Written::same("null"))]
}

fn joined(begin: Written, members: &[Written]) -> Written {
    members.iter().enumerate().fold(begin, |text, (at, member)| {
        if at > 0 { text.then(&Written::same(",")).then(member) } else { text.then(member) }
    })
}

/// A payload, and what it is to become.
fn payloads() -> impl Strategy<Value = Written> {
    let services = prop::option::of(prop::collection::vec(an_image(), 0..3));
    let order = any::<[prop::sample::Index; 2]>();
    (others(), prop::option::of(an_image()), services, order, space(), space()).prop_map(
        |(others, image, services, order, a, b)| {
            let mut members: Vec<Written> = others.iter().map(|member| Written::same(member)).collect();
            let image = image.map(|image| Written::same(&format!(r#""image"{a}:{b}"#)).then(&image));
            let services = services.map(|services| {
                joined(Written::same(&format!(r#""servi\u0063es":{a}["#)), &services).then(&Written::same("]"))
            });
            for (member, at) in image.into_iter().chain(services).zip(order) {
                members.insert(at.index(members.len() + 1), member);
            }
            joined(Written::same(&format!("{a}{{{b}")), &members).then(&Written::same(&format!("{a}}}{b}")))
        },
    )
}

proptest! {
    #[test]
    fn nothing_but_pull_policies_is_ever_changed(payload in payloads()) {
        let new = narrowed(&payload.before, &[Always]).unwrap();
        prop_assert_eq!(new.as_ref().unwrap_or(&payload.before), &payload.after);
        prop_assert_eq!(new.is_some(), payload.before != payload.after);
        prop_assert!(serde_json::from_str::<&RawValue>(&payload.after).is_ok());
        prop_assert_eq!(narrowed(&payload.after, &[Always]), Ok(None), "once is enough");
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}", cut in any::<prop::sample::Index>(), payload in payloads()) {
        let _ = narrowed(&text, &[Always]);
        let cut: String = payload.before.chars().take(cut.index(payload.before.len() + 1)).collect();
        let _ = narrowed(&cut, &[Always]);
    }
}
