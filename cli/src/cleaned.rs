//! Secrets taken out of what somebody pastes, so that it still means what it meant: a job's token becomes the variable that
//! a job has for it, and any other secret a word.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::job::MADE_UP;
use crate::setup::{MARKS, after_named, after_secret};

/// What stands for a job's token.
const TOKEN: &str = "$CI_JOB_TOKEN";
/// What stands for any other secret.
const OTHER: &str = "REPLACED";
/// The name that a job signs in with.
const LOGIN: &str = "gitlab-ci-token";
/// How a job's token begins.
const OF_JOB: &str = "glcbt-";

/// Behind which names secrets stand in an address or a form.
const FIELDS: [&str; 4] = ["token=", "password=", "secret=", "://"];
/// Behind which names secrets stand in a header field or a world.
const KEYS: [&str; 4] = ["token: ", "TOKEN: ", "Token: ", "password: "];

/// A text without its secrets. What is cleaned once more stays as it is.
#[must_use]
pub fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = if clean.ends_with(|c: char| c.is_ascii_alphanumeric()) { None } else { marked(rest) };
        let found = found.or_else(|| named(&clean, rest)).or_else(|| typed(rest));
        let (put, after) =
            found.unwrap_or_else(|| (first.to_string(), rest.get(first.len_utf8()..).unwrap_or_default()));
        clean.push_str(&put);
        rest = after;
    }
    clean
}

/// What to put in the place of a secret, and what stands behind it.
type Found<'a> = (String, &'a str);

/// A secret that is known by how it begins.
fn marked(text: &str) -> Option<Found<'_>> {
    MARKS.iter().find_map(|mark| {
        let behind = text.strip_prefix(mark)?;
        let after = after_secret(behind)?;
        let secret = behind.strip_suffix(after)?;
        let put = match *mark {
            OF_JOB => TOKEN.to_owned(),
            "Basic " => format!("{mark}{}", login(secret)),
            "Bearer " if secret.starts_with(OF_JOB) => format!("{mark}{TOKEN}"),
            "Bearer " => format!("{mark}{OTHER}"),
            _ => OTHER.to_owned(),
        };
        Some((put, after))
    })
}

/// A login that is as much a job's as another, in base64.
fn login(secret: &str) -> String {
    let decoded = STANDARD.decode(secret).unwrap_or_default();
    let is_job =
        decoded.starts_with(LOGIN.as_bytes()) || decoded.windows(OF_JOB.len()).any(|part| part == OF_JOB.as_bytes());
    STANDARD.encode(if is_job { format!("{LOGIN}:{MADE_UP}") } else { format!("somebody:{OTHER}") })
}

/// A secret that is known by what it stands behind.
fn named<'a>(before: &str, text: &'a str) -> Option<Found<'a>> {
    let is_job = before.to_ascii_lowercase().ends_with("job_") || before.to_ascii_lowercase().ends_with("job-");
    let field = FIELDS.iter().find_map(|name| Some((*name, after_named(name, text.strip_prefix(name)?)?)));
    let key = KEYS.iter().find_map(|name| {
        let behind = text.strip_prefix(name)?;
        Some((*name, behind.trim_start_matches(is_of_token)))
    });
    let (name, after) = field.or(key)?;
    let secret = text.strip_prefix(name)?.strip_suffix(after)?;
    let (user, secret) = if name == "://" { secret.rsplit_once(':').unwrap_or(("", secret)) } else { ("", secret) };
    if secret.is_empty() || secret.starts_with('$') || secret == "null" {
        return None;
    }
    let put = if is_job || user == LOGIN || secret.starts_with(OF_JOB) { TOKEN } else { OTHER };
    let colon = if user.is_empty() { "" } else { ":" };
    Some((format!("{name}{user}{colon}{put}"), after))
}

/// The rest of a secret that is being typed, whose beginning was replaced already.
fn typed(text: &str) -> Option<Found<'_>> {
    [TOKEN, OTHER].into_iter().find_map(|put| {
        let behind = text.strip_prefix(put)?;
        Some((put.to_owned(), behind.trim_start_matches(is_of_token)))
    })
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(&str, &str); 18] = [
        ("curl -H 'JOB-TOKEN: glcbt-64_abcDEF' u", "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' u"),
        ("curl -H 'JOB-TOKEN: of-an-old-forge' u", "curl -H 'JOB-TOKEN: $CI_JOB_TOKEN' u"),
        ("curl -H 'PRIVATE-TOKEN: glpat-abc' u", "curl -H 'PRIVATE-TOKEN: REPLACED' u"),
        ("curl -H 'private-token: abc' u", "curl -H 'private-token: REPLACED' u"),
        ("curl -H 'Authorization: Bearer glcbt-64_a' u", "curl -H 'Authorization: Bearer $CI_JOB_TOKEN' u"),
        ("Authorization: Bearer eyJhbGci.eyJz.c2ln", "Authorization: Bearer REPLACED"),
        ("https://gitlab-ci-token:glcbt-64_abc@f/a.git", "https://gitlab-ci-token:$CI_JOB_TOKEN@f/a.git"),
        ("https://gitlab-ci-token:unmarked@f/a.git", "https://gitlab-ci-token:$CI_JOB_TOKEN@f/a.git"),
        ("https://dana:p4ss@f/a.git", "https://dana:REPLACED@f/a.git"),
        ("https://f/x?job_token=abc&private_token=def", "https://f/x?job_token=$CI_JOB_TOKEN&private_token=REPLACED"),
        (
            "git clone https://gitlab-ci-token:${CI_JOB_TOKEN}@f/a",
            "git clone https://gitlab-ci-token:${CI_JOB_TOKEN}@f/a",
        ),
        ("- {token: glcbt-64_abc, user: dana}", "- {token: $CI_JOB_TOKEN, user: dana}"),
        ("- {password: dana-password, token: glpat-dana}", "- {password: REPLACED, token: REPLACED}"),
        ("token: null", "token: null"),
        ("docker login -p glcbt-64_abc", "docker login -p $CI_JOB_TOKEN"),
        ("$CI_JOB_TOKENx9_z y", "$CI_JOB_TOKEN y"),
        ("REPLACEDx9 y", "REPLACED y"),
        ("credential_env: JOBSCOPE_LOOKUP_TOKEN", "credential_env: JOBSCOPE_LOOKUP_TOKEN"),
    ];

    #[test]
    fn secrets_are_replaced_by_what_means_the_same() {
        for (text, clean) in CASES {
            assert_eq!(cleaned(text), clean);
            assert_eq!(cleaned(clean), clean, "once more");
        }
    }

    #[test]
    fn a_login_stays_as_much_a_jobs_as_it_was() {
        let of = |login: &str| cleaned(&format!("Basic {}", STANDARD.encode(login)));
        let made_up = format!("Basic {}", STANDARD.encode(format!("gitlab-ci-token:{MADE_UP}")));
        assert_eq!(of("gitlab-ci-token:glcbt-64_secret"), made_up);
        assert_eq!(cleaned(&made_up), made_up);
        assert_eq!(of("dana:glpat-secret"), of("somebody:REPLACED"));
    }

    #[test]
    fn nothing_of_a_secret_is_left_however_it_arrives() {
        for mark in MARKS.iter().filter(|mark| mark.ends_with('-')) {
            let secret = "aB3dE6gH9kL2";
            let mut shown = String::new();
            for c in format!("curl -H 'X: {mark}{secret}'").chars() {
                shown = cleaned(&format!("{shown}{c}"));
            }
            assert!(!shown.contains("B3d") && shown.ends_with('\''), "{shown}");
        }
    }
}
