//! Where bodies are left unread, the head decides.

use super::*;

const RELEASES: &str = "/api/v4/projects/5/releases";
const TRIGGER: &str = "/api/v4/projects/5/trigger/pipeline";
const REPORT: &str = "/api/v4/jobs/7";
const BATCH: &str = "/g/p.git/info/lfs/objects/batch";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=b";
const LFS: &str = "application/vnd.git-lfs+json";

fn left(kind: &str, method: &str, path: &str, head: &[(String, String)]) -> Reading {
    let document = format!(
        r#"{{"bodies": "leave", "forge": {{"kind": "{kind}", "hosts": ["gitlab.example.com"]}},
             "lookup": {{"cluster": "c", "authority": "gitlab.example.com", "credential_env": "E"}}}}"#
    );
    let fields = [field(":method", method), field(":path", path), field(":authority", "gitlab.example.com")];
    let fields: Vec<_> = fields.iter().chain(head).map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    read(&Config::parse(document.as_bytes()).unwrap().forge, &Head::new(&fields, Body::Follows))
}

fn typed(media: &str) -> (String, String) {
    field("content-type", media)
}

fn mine() -> (String, String) {
    field("job-token", TOKEN)
}

/// What becomes of a request with this body.
fn fate(scan: Option<Scan>, body: &str) -> Option<Malformed> {
    let fed = scan.map_or(Ok(()), |mut scan| scan.feed(body.as_bytes()).and_then(|()| scan.finish()));
    fed.err().map(|refused| refused.malformed)
}

#[test]
fn a_batch_is_a_download_and_a_jobs_parameters_are_looked_through_as_they_pass() {
    let batch = left("gitlab", "POST", BATCH, &[basic(), typed(LFS)]);
    assert_eq!(asked(batch.clone()), (Protocol::Lfs, Action::DownloadLfs, project("g/p")));
    assert_eq!(job(batch).mints, Some(Mints::LfsCredentials));
    let elsewhere = left("generic", "POST", BATCH, &[field("authorization", "Basic eDp5"), typed(LFS)]);
    assert_eq!(asked(elsewhere).1, Action::UploadLfs, "there the batch itself may write");
    let other = "glcbt-64_other";
    for (media, plain, second) in [
        (JSON, r#"{"tag_name": "v1"}"#, format!(r#"{{"job_token": "{other}"}}"#)),
        (
            PARTS,
            "--b\r\nContent-Disposition: form-data; name=\"tag_name\"\r\n\r\nv1\r\n--b--\r\n",
            format!("--b\r\nContent-Disposition: form-data; name=\"job_token\"\r\n\r\n{other}\r\n--b--\r\n"),
        ),
    ] {
        let request = job(left("gitlab", "POST", RELEASES, &[mine(), typed(media)]));
        assert_eq!(request.accesses[0].action, Action::WriteReleases);
        assert_eq!(fate(request.scan.clone(), plain), None, "{media}");
        assert_eq!(fate(request.scan, &second), Some(Malformed::HeadAndBody), "{media}");
    }
    let method = "--b\r\nContent-Disposition: form-data; name=\"_method\"\r\n\r\nDELETE\r\n--b--\r\n";
    assert_eq!(
        fate(job(left("gitlab", "POST", RELEASES, &[mine(), typed(PARTS)])).scan, method),
        Some(Malformed::Override)
    );
}

#[test]
fn what_a_form_may_say_otherwise_is_refused() {
    for (path, media) in [(RELEASES, FORM), (RELEASES, ""), (TRIGGER, FORM)] {
        assert_eq!(
            refusal(left("gitlab", "POST", path, &[mine(), typed(media)])),
            Malformed::BodyLeft,
            "{path} {media}"
        );
    }
    assert_eq!(refusal(left("gitlab", "POST", "/jwt/auth", &[basic(), typed(FORM)])), Malformed::TokenForm);
    let issues = "/api/v1/repos/g/p/issues";
    let generic = job(left("generic", "POST", issues, &[field("authorization", "token abc"), typed(FORM)]));
    assert_eq!(generic.token, Secret::new(b"abc"));
    assert_eq!(fate(generic.scan.clone(), "title=x&body=y"), None);
    assert_eq!(fate(generic.scan, "title=x&access_token=z"), Some(Malformed::Multiple));
    let Reading::Passing(nobodys) = left("generic", "POST", issues, &[typed(FORM)]) else { panic!() };
    assert_eq!(fate(Some(nobodys), "title=x&access_token=z"), Some(Malformed::BodyLeft));
}

#[test]
fn a_runners_report_goes_on_whatever_its_body_says() {
    let report = format!(r#"{{"token": "{TOKEN}", "state": "success"}}"#);
    let with_token = job(left("gitlab", "PUT", REPORT, &[mine(), typed(JSON)]));
    assert_eq!((with_token.accesses[0].action, fate(with_token.scan, &report)), (Action::UpdateJob, None));
    assert_eq!(left("gitlab", "PUT", REPORT, &[typed(JSON)]), Reading::NotAJob);
    // Of files only the job is compared that uploads them.
    let files = left("gitlab", "POST", "/api/v4/jobs/7/artifacts", &[typed(FORM)]);
    let Reading::Passing(scan) = files else { panic!("{files:?}") };
    assert_eq!(fate(Some(scan), &format!("_method=GET&token={TOKEN}")), Some(Malformed::BodyLeft));
}

#[test]
fn without_a_token_in_its_head_a_request_passes_and_is_broken_off_where_a_jobs_stands_in_it() {
    for (path, media, body, why) in [
        (TRIGGER, FORM, format!("token={TOKEN}&ref=main"), Malformed::BodyLeft),
        (RELEASES, JSON, format!(r#"{{"job_token": "{TOKEN}"}}"#), Malformed::BodyLeft),
        (RELEASES, "", format!("job_token={TOKEN}"), Malformed::BodyLeft),
        ("/jwt/auth", FORM, format!("username=gitlab-ci-token&password={TOKEN}"), Malformed::TokenForm),
    ] {
        let Reading::Passing(scan) = left("gitlab", "POST", path, &[typed(media)]) else { panic!("{path} {media}") };
        assert_eq!(fate(Some(scan.clone()), "a=b"), None, "{path} {media}");
        assert_eq!(fate(Some(scan), &body), Some(why), "{path} {media}");
    }
}

#[test]
fn nothing_waits_for_its_body() {
    for kind in ["gitlab", "generic"] {
        for head in [vec![], vec![mine()], vec![basic()], vec![field("private-token", "glpat-x")]] {
            for path in [
                RELEASES,
                TRIGGER,
                REPORT,
                BATCH,
                "/jwt/auth",
                "/api/v1/repos/g/p/releases",
                "/g/p.git/git-upload-pack",
            ] {
                for media in [JSON, FORM, PARTS, LFS, "", "application/octet-stream"] {
                    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                        let head: Vec<_> = head.iter().cloned().chain([typed(media)]).collect();
                        let read = left(kind, method, path, &head);
                        assert!(!matches!(read, Reading::Body(_)), "{kind} {method} {path} {head:?}");
                    }
                }
            }
        }
    }
}
