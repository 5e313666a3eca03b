use super::*;
use crate::facts::{Features, JobPush, ProjectId, ProjectPath, Visibility};

fn known() -> (Origin, Target) {
    let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
    let path = ProjectPath::parse("infra/secrets").unwrap();
    (
        origin,
        Target {
            id: ProjectId(103),
            path,
            visibility: Visibility::Private,
            features: Features::OPEN,
            job_push: JobPush::Off,
        },
    )
}

fn every_reply() -> Vec<Reply> {
    let (origin, target) = known();
    let mut all = Vec::new();
    for protocol in Protocol::ALL {
        for (reason, _, _) in Reason::ALL {
            all.push(rule(protocol, *reason, &Subject::Known { origin: &origin, target: &target }));
            all.push(rule(protocol, *reason, &Subject::Hidden));
            all.push(rule(protocol, *reason, &Subject::None));
            all.push(token(protocol, *reason));
        }
        all.extend(Malformed::ALL.iter().map(|(one, _, _, _)| malformed(protocol, *one)));
        all.extend(Failure::ALL.iter().map(|(one, _, _)| failure(protocol, *one)));
    }
    all
}

#[test]
fn every_answer_is_printable_and_is_not_kept() {
    for reply in every_reply() {
        assert!(reply.body.bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\n'), "{}", reply.body);
        assert!((400..=503).contains(&reply.status));
        assert!(reply.headers.contains(&("cache-control", "no-store")));
    }
}

#[test]
fn what_is_hidden_looks_like_what_is_not_there_whatever_the_reason() {
    for protocol in Protocol::ALL {
        let none = rule(protocol, Reason::TargetUnknown, &Subject::Hidden);
        for (reason, _, _) in Reason::ALL {
            assert_eq!(rule(protocol, *reason, &Subject::Hidden), none, "{reason:?}");
        }
    }
}

#[test]
fn git_shows_why_and_who_can_change_it() {
    let (origin, target) = known();
    let reply = rule(Protocol::Git, Reason::NotListed, &Subject::Known { origin: &origin, target: &target });
    assert_eq!(reply.status, 403);
    assert_eq!(
        reply.body,
        "Authentication by CI/CD job token not allowed from web to project #103.\n\
         The job token allowlist of infra/secrets does not name apps/web.\n\
         A maintainer of infra/secrets can add apps/web under Settings > CI/CD > Job token permissions.\n"
    );
}

#[test]
fn the_api_answers_in_the_forges_words() {
    let (origin, target) = known();
    let reply = rule(Protocol::Api, Reason::NotListed, &Subject::Known { origin: &origin, target: &target });
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["message"], "403 Forbidden - Authentication by CI/CD job token not allowed from web to secrets.");
    assert_eq!(rule(Protocol::Api, Reason::NotMember, &Subject::Hidden).body, r#"{"message":"404 Project Not Found"}"#);
    assert_eq!(token(Protocol::Api, Reason::TokenEnded).status, 401);
    assert_eq!(token(Protocol::Runner, Reason::TokenEnded).status, 403);
}

#[test]
fn a_failure_says_when_to_come_back() {
    for protocol in Protocol::ALL {
        let reply = failure(protocol, Failure::LookupTimeout);
        assert_eq!((reply.status, reply.headers.contains(&("retry-after", "2"))), (503, true));
    }
}
