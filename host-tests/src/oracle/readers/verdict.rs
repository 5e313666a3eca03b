//! Whether the filter and a reader agree on a request.

use policy::choices::Kind;
use serde::Deserialize;

use super::filtered::Filtered;
use super::program::Language;
use super::request::{Body, Plant, Planted};

/// The user name that goes with a job token.
const USER: &str = "gitlab-ci-token";

/// What a reader makes of a request.
#[derive(Clone, Debug, Deserialize)]
pub struct Answer {
    /// The method that it is served with.
    pub method: String,
    /// The projects that it is about.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Whether GitLab goes by a person's token in it, and looks at no other parameter.
    #[serde(default)]
    pub decisive: bool,
    /// The credentials in it.
    pub found: Vec<Finding>,
}

/// A credential: the place where it stood, its user, field or parameter, and its text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Finding(pub String, pub String, pub String);

impl Finding {
    /// Whether it is what was planted, or was made of it.
    fn is(&self, plant: Plant, kind: Kind) -> bool {
        let Self(place, name, text) = self;
        let is_read = match kind {
            Kind::Gitlab => text == plant.token,
            // Nobody else signs with the readers' key, and so whatever they let in was planted.
            Kind::Gitea | Kind::Generic => text == plant.token || place.starts_with("jwt in") || place == "giftless",
        };
        is_read && (plant.is_marked || is_job_by(place, name))
    }

    /// Where it stood, a JWT or not.
    fn place(&self) -> &str {
        self.0.strip_prefix("jwt in ").unwrap_or(&self.0)
    }
}

/// Whether a text without a mark is a job's by where it stands.
fn is_job_by(place: &str, name: &str) -> bool {
    match place {
        "basic" | "basic in any scheme" => name == USER,
        "header" => name == "HTTP_JOB_TOKEN",
        "query" => name == "job_token",
        _ => name == "job_token" || name == USER,
    }
}

/// Whether the forge takes a credential from this place of this request.
fn is_taken(kind: Kind, language: Language, planted: &Planted, answer: &Answer, finding: &Finding) -> bool {
    let is_parameter = ["job_token", "token", "access_token", "bearer_token"].contains(&finding.1.as_str());
    match (finding.place(), kind) {
        ("basic" | "bearer" | "token" | "header" | "query" | "giftless", _) => true,
        // Of GitLab, the package routes alone.
        ("basic in any scheme", _) => planted.route.is_api(),
        ("rails", Kind::Gitlab) => planted.route.body == Body::Controller,
        ("form" | "multipart", Kind::Gitea | Kind::Generic) => language == Language::Go && planted.route.is_with_form(),
        ("package", Kind::Gitea | Kind::Generic) => finding.0 != "package",
        (place, Kind::Gitlab) if place.starts_with("grape") => match planted.route.body {
            Body::Parameters => is_parameter && !answer.decisive,
            Body::ParametersFirst => is_parameter,
            Body::Controller | Body::Content => false,
        },
        _ => false,
    }
}

/// Why filter and reader do not agree, and whether the reader has found what was planted.
pub(super) fn verdict(
    kind: Kind,
    planted: &Planted,
    filtered: &Filtered,
    language: Language,
    answer: &Answer,
) -> (Option<String>, bool) {
    let found: Vec<&Finding> = (answer.found.iter())
        .filter(|finding| finding.is(planted.plant, kind) && is_taken(kind, language, planted, answer, finding))
        .collect();
    let other = |finding: &&&Finding| match filtered {
        Filtered::Passed | Filtered::Remembered => true,
        Filtered::Refused(_) => false,
        // What parts a list is no letter of a token, whoever passes over it: the same one is looked up.
        Filtered::Judged(token) => {
            token.expose() != planted.plant.token_in(finding.2.trim_matches([',', ';'])).as_bytes()
        }
    };
    let said = found.iter().find(other).map(|Finding(place, name, text)| format!("{place} `{name}` is `{text}`"));
    let is_judged = matches!(filtered, Filtered::Judged(_)) && language == Language::Ruby;
    let served = || {
        let method = planted.method();
        let projects: Vec<&String> = answer.ids.iter().filter(|id| *id != planted.route.project()).collect();
        if answer.method != method {
            return Some(format!("the method is {} and not {method}", answer.method));
        }
        (!planted.route.project().is_empty() && !projects.is_empty())
            .then(|| format!("the project is {projects:?} and not `{}`", planted.route.project()))
    };
    (said.or_else(|| if is_judged { served() } else { None }), !found.is_empty())
}

#[cfg(test)]
mod tests {
    use policy::facts::Secret;

    use super::super::{ELSEWHERE, Family, GITLAB};
    use super::*;

    /// The first request of a family whose plant and body are these.
    fn request(family: &Family, plant: Plant, body: Body) -> Planted {
        let mut requests = (0..).map(|number| family.request(1, number));
        requests.find(|one| one.plant == plant && one.route.body == body && one.route.is_api()).unwrap()
    }

    fn says(family: &Family, planted: &Planted, filtered: &Filtered, language: Language, answer: &Answer) -> bool {
        verdict(family.kind, planted, filtered, language, answer).0.is_some()
    }

    fn answer(planted: &Planted, found: (&str, &str, &str)) -> Answer {
        let found = vec![Finding(found.0.into(), found.1.into(), found.2.into())];
        Answer { method: planted.method().into(), ids: vec![planted.route.project().into()], decisive: false, found }
    }

    #[test]
    fn a_token_that_a_reader_finds_must_be_refused_or_judged_as_that_one() {
        let planted = request(&GITLAB, super::super::request::GITLAB[0], Body::Parameters);
        let token = planted.plant.token;
        let judged = |token: &str| Filtered::Judged(Secret::new(token.as_bytes()));
        for (place, name) in [("basic", "x"), ("bearer", ""), ("query", "token"), ("grape", "job_token")] {
            let answer = answer(&planted, (place, name, token));
            for (filtered, is_wrong) in [
                (Filtered::Passed, true),
                (Filtered::Remembered, true),
                (judged("glcbt-other"), true),
                (judged(token), false),
                (Filtered::Refused("path.host"), false),
            ] {
                assert_eq!(
                    says(&GITLAB, &planted, &filtered, Language::Ruby, &answer),
                    is_wrong,
                    "{place}: {filtered}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_is_no_job_token_there_may_pass() {
        let old = request(&GITLAB, super::super::request::GITLAB[1], Body::Parameters);
        let mut seen = answer(&old, ("basic", "dana", old.plant.token));
        assert!(!says(&GITLAB, &old, &Filtered::Passed, Language::Ruby, &seen), "another user's password");
        seen = answer(&old, ("grape", "job_token", old.plant.token));
        assert!(says(&GITLAB, &old, &Filtered::Passed, Language::Ruby, &seen));
        seen.decisive = true;
        assert!(!says(&GITLAB, &old, &Filtered::Passed, Language::Ruby, &seen), "a person's token goes before it");
        let content = request(&GITLAB, super::super::request::GITLAB[0], Body::Content);
        let seen = answer(&content, ("grape", "job_token", content.plant.token));
        assert!(!says(&GITLAB, &content, &Filtered::Passed, Language::Ruby, &seen), "content is no parameter");
    }

    #[test]
    fn what_a_service_verifies_is_a_token_in_whatever_letters() {
        let planted = request(&ELSEWHERE, super::super::request::ELSEWHERE[1], Body::Parameters);
        let other = format!("{}!!!!", planted.plant.text);
        let seen = answer(&planted, ("giftless", "", &other));
        let judged = Filtered::Judged(Secret::new(planted.plant.text.as_bytes()));
        assert!(says(&ELSEWHERE, &planted, &Filtered::Passed, Language::Python, &seen));
        assert!(says(&ELSEWHERE, &planted, &judged, Language::Python, &seen), "another spelling was looked up");
    }

    #[test]
    fn a_judged_request_is_served_with_its_method_and_for_its_project() {
        let planted = request(&GITLAB, super::super::request::GITLAB[0], Body::Parameters);
        let judged = Filtered::Judged(Secret::new(planted.plant.token.as_bytes()));
        let usual = answer(&planted, ("bearer", "", planted.plant.token));
        assert!(!says(&GITLAB, &planted, &judged, Language::Ruby, &usual));
        let overridden = Answer { method: "TRACE".into(), ..usual.clone() };
        let elsewhere = Answer { ids: vec!["9".into()], ..usual };
        for other in [overridden, elsewhere] {
            assert!(says(&GITLAB, &planted, &judged, Language::Ruby, &other), "{other:?}");
        }
    }
}
