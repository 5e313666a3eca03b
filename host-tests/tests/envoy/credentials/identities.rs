//! The whole of it: jobs with ID tokens that a CI signs, the lookup service with `envoy/identities/lookup.yaml`, Envoy with
//! `envoy/identities/filter.yaml`, and behind it Git's own server and a registry that know two accounts and no job.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use host_tests::stack::{Answer, Behind, GitServer, Identities, Options, READER, Stack, WRITER, login};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::forge::client;
use super::{PATIENCE, SLOT, holds_token};

/// How late an end may be seen that nobody told, with `bindings.revalidate_after: 1s`.
const BOUND: Duration = Duration::from_secs(5);

/// The demo's job of apps/web.
const JOB: u64 = 1001;

struct Site {
    stack: Stack,
    /// The ID token of a job of apps/deploy.
    deploy: String,
    dir: TempDir,
}

/// How a client ended, and what it said.
struct Said {
    done: bool,
    text: String,
}

impl Site {
    fn start() -> Self {
        let filter = vec![("/bindings/revalidate_after", json!("1s"))];
        let stack = Stack::start(&Options { behind: Behind::Accounts, filter, ..Options::picked() }).unwrap();
        let deploy = stack.forge().add_job("apps/deploy", "dana", "glcbt-64_danaDeploys00000001").unwrap();
        let deploy = stack.identities().unwrap().token(stack.forge(), deploy, &json!({})).unwrap();
        let site = Self { stack, deploy, dir: tempfile::tempdir().unwrap() };
        // On Envoy 1.36 the listener is there a moment before a cluster that waits for its secret.
        let (begin, web) = (Instant::now(), site.token(json!({})));
        for (line, host, token) in [
            ("GET /apps/web.git/info/refs?service=git-upload-pack", "127.0.0.1", &web),
            ("GET /apps/deploy.git/info/refs?service=git-receive-pack", "127.0.0.1", &site.deploy),
            ("GET /v2/", "localhost", &web),
            ("POST /v2/apps/web/app/blobs/uploads/", "localhost", &web),
        ] {
            while let answer = site.send(line, host, token)
                && !matches!(answer.status, Some(200 | 202))
            {
                assert!(begin.elapsed() < PATIENCE, "{line}: {answer:?}");
            }
        }
        site.git_server().seen();
        site
    }

    fn identities(&self) -> &Identities {
        self.stack.identities().unwrap()
    }

    fn git_server(&self) -> &GitServer {
        self.identities().git()
    }

    /// An ID token of the job, with these claims in place of the usual ones.
    fn token(&self, other: Value) -> String {
        self.identities().token(self.stack.forge(), JOB, &other).unwrap()
    }

    fn send(&self, line: &str, host: &str, token: &str) -> Answer {
        let login = login("job", token);
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {login}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        self.stack.raw(request.as_bytes(), PATIENCE).unwrap()
    }

    /// Which status a job of apps/web has that reads its project with this token.
    fn reads(&self, token: &str) -> Option<u16> {
        self.send("GET /apps/web.git/info/refs?service=git-upload-pack", "127.0.0.1", token).status
    }

    fn url(&self, project: &str, token: &str) -> String {
        format!("http://job:{token}@{}/{project}.git", self.stack.forge_host())
    }

    /// Runs a client, which tells all that it is told, below this directory.
    fn run(&self, dir: &Path, program: &str, arguments: &[&str]) -> Said {
        let mut command = client(dir, program);
        command.env("GIT_TRACE_CURL", "1").env("GIT_TRACE_REDACT", "0").env("GIT_TRACE_CURL_NO_DATA", "1");
        let output = command.args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        for account in [READER, WRITER] {
            assert!(!text.contains(account.secret) && !text.contains(&account.login()), "an account's secret: {text}");
        }
        assert!(!text.contains("of-the-account") && !text.contains(SLOT), "{text}");
        Said { done: output.status.success(), text }
    }

    fn git(&self, arguments: &[&str]) -> Said {
        self.run(self.dir.path(), "git", arguments)
    }

    fn skopeo(&self, arguments: &[&str]) -> Said {
        self.run(self.dir.path(), "skopeo", &[&["--insecure-policy", "--debug"], arguments].concat())
    }

    /// In whose names requests reached the Git server, each once; none has a slot or a job's token in it.
    fn accounts(&self) -> Vec<Option<String>> {
        let seen = self.git_server().seen();
        for one in &seen {
            assert!(one.field(SLOT).is_none() && !holds_token(one), "{one:?}");
        }
        let mut all: Vec<_> = seen.iter().map(|seen| seen.field("authorization").map(String::from)).collect();
        all.sort();
        all.dedup();
        all
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_job_with_an_id_token_clones_what_it_may_from_a_server_that_knows_accounts() {
    let site = Site::start();
    let token = site.token(json!({}));
    for (project, file) in [("apps/web", "src/main.sh"), ("libs/common", "lib/common.sh")] {
        let said = site.git(&["clone", &site.url(project, &token)]);
        assert!(said.done, "{}", said.text);
        assert!(site.dir.path().join(project.rsplit('/').next().unwrap()).join(file).is_file());
        assert_eq!(site.accounts(), [None, Some(READER.login())], "first Git asks without a login");
    }
    let bearer = format!("http.extraHeader=Authorization: Bearer {token}");
    let url = format!("http://{}/apps/web.git", site.stack.forge_host());
    let said = site.git(&["-c", &bearer, "ls-remote", &url]);
    assert!(said.done, "{}", said.text);
    assert_eq!(site.accounts(), [Some(READER.login())]);
    // Git asks without a login first, and what has one comes no further than the filter.
    let refused = |said: Said, why: &[&str]| {
        assert!(!said.done && why.iter().all(|part| said.text.contains(part)), "{why:?}: {}", said.text);
        assert_eq!(site.accounts(), [None], "nothing that was not granted reaches it in anybody's name");
    };
    refused(site.git(&["clone", &site.url("infra/secrets", &token)]), &["404", "not found"]);
    refused(site.git(&["clone", &site.url("libs/nothing", &token)]), &["404", "not found"]);

    let web = site.dir.path().join("web");
    fs::write(web.join("more"), "more\n").unwrap();
    let push = |origin: &str| {
        site.run(&web, "git", &["add", "more"]);
        site.run(&web, "git", &["commit", "--quiet", "--message", "more"]);
        site.run(&web, "git", &["push", origin, "HEAD:more"])
    };
    refused(push("origin"), &["403", "push"]);
    refused(push(&site.url("libs/common", &token)), &["403"]);
    // Where its own jobs push, one does, in the name of the account that writes.
    let said = push(&site.url("apps/deploy", &site.deploy));
    assert!(said.done, "{}", said.text);
    assert_eq!(site.accounts(), [None, Some(WRITER.login())]);
    let log = fs::read_to_string(site.identities().log()).unwrap();
    assert!(log.contains("writer POST /apps/deploy.git/git-receive-pack 200"), "{log}");
}

#[test]
fn what_is_no_token_of_a_job_that_runs_now_is_refused() {
    let site = Site::start();
    let token = site.token(json!({}));
    let (short, soon) = (site.token(json!({"exp": now() + 3})), Instant::now());
    assert_eq!((site.reads(&token), site.reads(&short)), (Some(200), Some(200)));
    assert_eq!(site.accounts(), [Some(READER.login())]);

    let others = json!(["https://registry.example.com", "https://forge.example.com/jobscope"]);
    for other in [
        json!({"aud": "https://registry.example.com"}),
        json!({"aud": others}),
        json!({"exp": now() - 60, "iat": now() - 120}),
        json!({"iss": "https://gitlab.elsewhere.example"}),
        json!({"project_id": "102"}),
    ] {
        let refused = site.token(other.clone());
        assert_eq!(site.reads(&refused), Some(401), "{other}");
        let said = site.git(&["clone", &site.url("apps/web", &refused)]);
        assert!(!said.done, "{other}");
        // Git's first question, which has no login.
        assert_eq!(site.accounts(), [None], "{other}");
    }
    // Its neighbour is signed by the same key: a changed claim is not.
    let (head, rest) = token.split_once('.').unwrap();
    let (claims, _) = rest.split_once('.').unwrap();
    let (_, signature) = short.rsplit_once('.').unwrap();
    assert_eq!(site.reads(&format!("{head}.{claims}.{signature}")), Some(401));

    std::thread::sleep(Duration::from_millis(3500).saturating_sub(soon.elapsed()));
    assert_eq!(site.reads(&short), Some(401), "its time is over");
    assert_eq!(site.reads(&token), Some(200), "and the job goes on");
    site.accounts();

    let end = r#"{"token": "glcbt-64_danaBuildsWeb000001", "state": "success"}"#;
    let end = format!(
        "PUT /api/v4/jobs/{JOB} HTTP/1.1\r\nHost: ci\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{end}",
        end.len()
    );
    assert_eq!(site.stack.forge().raw(end.as_bytes(), PATIENCE).unwrap().status, Some(200), "its runner reports it");
    let begin = Instant::now();
    while site.reads(&token) != Some(401) {
        assert!(begin.elapsed() < BOUND, "its end is not noticed");
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("an end that the CI alone knew was refused after {:?}", begin.elapsed());
    site.accounts();
    let another = site.token(json!({"jti": "another of the same job"}));
    for token in [&token, &another, &token, &another] {
        assert_eq!(site.reads(token), Some(401));
    }
    assert_eq!(site.accounts(), [], "nothing of a job that is over goes on");
}

#[test]
fn a_registry_with_accounts_lets_a_job_pull_and_push_what_it_may() {
    let site = Site::start();
    let token = site.token(json!({}));
    host_tests::demo::write_image(&site.dir.path().join("image"), "v1").unwrap();
    let at = |host: &str, name: &str| format!("docker://{host}/{name}:v1");
    let (job, writer) = (format!("job:{token}"), format!("{}:{}", WRITER.name, WRITER.secret));
    let push = |login: &str, to: &str| {
        site.skopeo(&["copy", "--dest-tls-verify=false", "--dest-creds", login, "oci:image:v1", to])
    };
    let pull = |from: &str, to: &str| site.skopeo(&["copy", "--src-tls-verify=false", "--src-creds", &job, from, to]);
    let (ingress, image) = (site.stack.registry_host(), "containers/poetry/python3.11");
    let behind = client(site.dir.path(), "skopeo")
        .args(["--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-creds", &writer, "oci:image:v1"])
        .arg(at(&site.stack.registry_behind(), image))
        .output()
        .unwrap();
    assert!(behind.status.success(), "{}", String::from_utf8_lossy(&behind.stderr));

    let said = pull(&at(&ingress, image), "oci:pulled:v1");
    assert!(said.done, "{}", said.text);
    let said = push(&job, &at(&ingress, image));
    assert!(!said.done && said.text.contains("images in apps/web only"), "{}", said.text);
    let said = pull(&at(&ingress, "infra/secrets/app"), "oci:none:v1");
    assert!(!said.done, "{}", said.text);
    let said = push(&job, &at(&ingress, "apps/web/app"));
    assert!(said.done, "its own: {}", said.text);

    let log = site.stack.registry_log().unwrap();
    assert!(log.contains("apps/web/app") && !log.contains("infra/secrets") && !log.contains(&token), "{log}");
}
