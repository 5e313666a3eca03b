use super::*;
use crate::job::Caller;
use policy::access::Access;
use policy::request::Reading;

const CONFIG: &str = r#"{"forge": {"hosts": ["forge.invalid"], "registry_hosts": ["registry.invalid"]},
    "lookup": {"cluster": "c", "authority": "forge.invalid", "credential_env": "E"}}"#;

const WORLD: &str = "
users: [{id: 1, username: dana}]
groups: [{id: 1, path: apps}]
projects: [{id: 11, path: apps/web}]
";

fn read(text: &str) -> Result<Vec<Request>, LineError> {
    let config = Config::parse(CONFIG.as_bytes()).unwrap();
    let world = world::World::parse(WORLD).unwrap();
    let caller = Caller::of("apps/web@main as dana", &world).unwrap();
    let file = |name: &str| (name == "there").then(|| b"a=1\nb".to_vec());
    line(text, &Setting { config: &config, job: &caller.job, token: &caller.secret, file: &file })
}

/// What each request of a line asks, or why it is refused.
fn asks(text: &str) -> Vec<String> {
    let config = Config::parse(CONFIG.as_bytes()).unwrap();
    let asked = |accesses: &[Access]| accesses.iter().map(|access| access.action.name()).collect::<Vec<_>>().join("+");
    let each = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    each.iter()
        .map(|request| match request.read(&config) {
            Reading::Job(job) => asked(&job.accesses),
            Reading::Refused(refused) => refused.malformed.code().to_owned(),
            Reading::NotAJob | Reading::Passing(_) => "nobody".to_owned(),
            Reading::Body(_) => "body".to_owned(),
        })
        .collect()
}

const API: &str = "$CI_API_V4_URL/projects/11";

#[test]
fn a_line_asks_what_the_client_asks() {
    for (line, asked) in [
        ("git clone --depth 1 -b main https://forge.invalid/apps/web.git here", &["git.read", "git.read"][..]),
        ("git -C x fetch https://gitlab-ci-token:$CI_JOB_TOKEN@forge.invalid/apps/web.git", &["git.read", "git.read"]),
        ("git ls-remote $CI_REPOSITORY_URL HEAD", &["git.read"]),
        ("git push $CI_PROJECT_URL.git HEAD:main", &["git.write", "git.write"]),
        ("git lfs pull https://forge.invalid/apps/web", &["lfs.download"]),
        ("git lfs push https://forge.invalid/apps/web.git main", &["lfs.upload"]),
        ("docker login -u $CI_REGISTRY_USER -p $CI_REGISTRY_PASSWORD $CI_REGISTRY", &["oci.login"]),
        ("docker pull --quiet $CI_REGISTRY_IMAGE/tool:1", &["oci.pull", "oci.pull"]),
        ("podman pull docker://registry.invalid/apps/web:1@sha256:DIGEST", &["oci.pull", "oci.pull"]),
        ("docker push $CI_REGISTRY_IMAGE", &["oci.push+oci.pull", "oci.push"]),
    ] {
        assert_eq!(asks(&line.replace("DIGEST", &"0".repeat(64))), asked, "{line}");
    }
}

#[test]
fn curl_sends_what_its_options_say() {
    for (options, asked) in [
        (format!("-H 'JOB-TOKEN: $CI_JOB_TOKEN' {API}/releases"), "releases.read"),
        (format!("-sSfLH 'JOB-TOKEN: ${{CI_JOB_TOKEN}}' -o x {API}/releases"), "releases.read"),
        (
            format!("--header \"JOB-TOKEN: $CI_JOB_TOKEN\" --upload-file there {API}/packages/generic/a/1/f"),
            "packages.generic.publish",
        ),
        (format!("-u gitlab-ci-token:$CI_JOB_TOKEN -Tthere {API}/packages/generic/a/1/"), "packages.generic.publish"),
        (format!("-X POST -F token=$CI_JOB_TOKEN -F ref=main {API}/trigger/pipeline"), "pipeline.trigger"),
        (format!("-d token=$CI_JOB_TOKEN -d ref=main {API}/trigger/pipeline"), "pipeline.trigger"),
        (
            format!("-d token=$CI_JOB_TOKEN --data-urlencode 'variables[A]=b c' -d ref=main {API}/trigger/pipeline"),
            "pipeline.trigger",
        ),
        (
            format!("--json '{{\"name\": \"v1\", \"tag_name\": \"v1\"}}' -H 'job-token: $CI_JOB_TOKEN' {API}/releases"),
            "releases.write",
        ),
        (format!("-XDELETE -HJOB-TOKEN:$CI_JOB_TOKEN {API}/releases/v1"), "releases.write"),
        (format!("--get -d per_page=1 -H 'JOB-TOKEN: $CI_JOB_TOKEN' {API}/releases"), "releases.read"),
        (format!("-I -H 'JOB-TOKEN: $CI_JOB_TOKEN' {API}/releases"), "releases.read"),
        (format!("--oauth2-bearer $CI_JOB_TOKEN {API}/releases"), "releases.read"),
        (format!("-H 'PRIVATE-TOKEN: of-somebody' {API}/releases"), "nobody"),
        (format!("{API}/releases"), "nobody"),
        ("-H 'JOB-TOKEN: $CI_JOB_TOKEN' https://elsewhere.invalid/api/v4/job".to_owned(), "host.unknown"),
    ] {
        assert_eq!(asks(&format!("curl {options}")), [asked], "{options}");
    }
}

#[test]
fn curl_makes_the_request_that_curl_makes() {
    let one = |text: &str| read(text).unwrap().remove(0);
    let request = one("curl -d a=1 --data-binary @there -A me https://u:p@forge.invalid/a/../b/./c?d#e");
    assert_eq!(
        (request.method.as_str(), request.authority.as_str(), request.path.as_str()),
        ("POST", "forge.invalid", "/b/c?d")
    );
    assert_eq!(request.body.as_deref(), Some(&b"a=1&a=1\nb"[..]));
    let field = |name: &str| request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("authorization"), Some("Basic dTpw"));
    assert_eq!((field("user-agent"), field("content-type")), (Some("me"), Some("application/x-www-form-urlencoded")));
    let text = one("curl --data @there https://forge.invalid/");
    assert_eq!(text.body.as_deref(), Some(&b"a=1b"[..]), "without line ends");
    let form = one("curl -F a=b -F 'c=@there;type=text/plain' https://forge.invalid/");
    let body = String::from_utf8(form.body.unwrap()).unwrap();
    assert!(
        body.contains("name=\"a\"\r\n\r\nb\r\n") && body.contains("filename=\"there\"") && body.ends_with("--\r\n"),
        "{body}"
    );
    assert_eq!(one("curl -T there https://forge.invalid/d/").path, "/d/there");
    assert_eq!(one("curl forge.invalid").path, "/");
    assert_eq!(one("curl -H 'Host: other' -H 'Accept:' https://forge.invalid/x").authority, "other");
}

#[test]
fn what_cannot_be_read_is_one_sentence() {
    for (text, said) in [
        ("", "expected a command such as `curl`, `git clone` or `docker pull`, found nothing"),
        ("curl 'a", "expected a command line, found one with a quote that is not closed"),
        ("wget x", "expected `curl`, `git`, `docker` or `podman`, found `wget`"),
        ("curl", "expected an address that begins with `https://`, found `no address`"),
        ("curl a b", "expected one address, found `b`"),
        ("curl --nope x", "`curl` has no option `--nope` that is known here"),
        ("curl -s7 x", "`curl` has no option `-7` that is known here"),
        ("curl x -H", "`-H` needs a value"),
        ("curl -d @gone x", "cannot read the file `gone` that the line names"),
        ("curl $GONE", "the variable `GONE` is not known here; write its value"),
        (
            "git",
            "expected `git clone`, `fetch`, `pull`, `ls-remote`, `push`, or `git lfs fetch`, `pull`, `push`, with an address, found `git`",
        ),
        ("git clone git@f:a/b", "expected an address that begins with `https://`, found `git@f:a/b`"),
        ("git clone --depth 1", "expected an address that begins with `https://`, found `no address`"),
        ("docker run x", "expected `login`, `pull`, `push` or `manifest inspect`, with an image, found `run`"),
        (
            "docker pull alpine",
            "expected an image at a registry of the configuration, such as `registry.invalid/group/project:tag`, found `alpine`",
        ),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), said, "{text}");
    }
}

#[test]
fn a_request_on_the_wire_is_read_as_it_stands() {
    let config = Config::parse(CONFIG.as_bytes()).unwrap();
    let world = world::World::parse(WORLD).unwrap();
    let caller = Caller::of("apps/web@main as dana", &world).unwrap();
    let setting = Setting { config: &config, job: &caller.job, token: &caller.secret, file: &|_| None };
    let request =
        raw(b"POST /a?b HTTP/1.1\r\nHost: forge.invalid\r\nJOB-TOKEN: $CI_JOB_TOKEN\r\n\r\nx\r\n\r\ny", &setting)
            .unwrap();
    assert_eq!(
        (request.method.as_str(), request.authority.as_str(), request.path.as_str()),
        ("POST", "forge.invalid", "/a?b")
    );
    assert_eq!(request.headers, [("job-token".to_owned(), caller.secret.clone())]);
    assert_eq!(request.body.as_deref(), Some(&b"x\r\n\r\ny"[..]));
    assert_eq!(raw(b"GET / HTTP/2\nhost: f\n\n", &setting).unwrap().body, None);
    for (bytes, found) in [
        (&b"GET / HTTP/1.1\n\n"[..], "no `Host`"),
        (b"GET /\nHost: f\n\n", "no such first line"),
        (b"GET / HTTP/1.1\nHost\n\n", "a line that is no header field"),
        (b"\xff\xfe\n\n", "bytes that are no text"),
        (b"", "no such first line"),
    ] {
        assert!(raw(bytes, &setting).unwrap_err().to_string().ends_with(&format!("found {found}")), "{found}");
    }
}
