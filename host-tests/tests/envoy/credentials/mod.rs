//! The forge's own credentials, which Envoy adds as `envoy/credentials.yaml` has it do, before a Git server and a registry that
//! know accounts and no jobs.

mod forge;
mod identities;

use std::fs;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use host_tests::stack::{
    Account, Accounts, Answer, HTPASSWD, Ingress, READER, Seen, Setup, WRITER, add_credentials, checkout,
    exchange_secret, login,
};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use forge::client;
use forge::{Forge, git, id_token};

const SLOT: &str = "x-jobscope-credential";
const PATIENCE: Duration = Duration::from_secs(20);
const FETCH: &str = "GET /apps/web.git/info/refs?service=git-upload-pack";
const PUSH: &str = "GET /apps/web.git/info/refs?service=git-receive-pack";

/// Envoy before a forge, and before a registry where a test needs one.
struct Site {
    envoy: Ingress,
    forge: Forge,
    registry: Option<Accounts>,
    secrets: TempDir,
}

/// What `envoy/credentials.yaml` has for the filter.
fn settings() -> [(&'static str, Value); 2] {
    let text = fs::read_to_string(checkout().join("envoy/credentials.yaml")).unwrap();
    let added: Value = serde_saphyr::from_str(&text).unwrap();
    let forge = &added["filter"]["forge"];
    [("/forge/kind", forge["kind"].clone()), ("/forge/credential_slots", forge["credential_slots"].clone())]
}

impl Site {
    fn start(mode: &str, has_registry: bool) -> Self {
        let (forge, secrets) = (Forge::start(), tempfile::tempdir().unwrap());
        let registry = has_registry.then(|| Accounts::start(HTPASSWD).unwrap());
        let behind = registry.as_ref().map_or(forge.git.port(), Accounts::port);
        let change = |envoy: &mut Value| add_credentials(envoy, secrets.path(), [forge.git.port(), behind]);
        let mut filter = vec![("/mode", json!(mode)), ("/bindings/revalidate_after", json!("1s"))];
        filter.extend(settings());
        let setup = Setup {
            forge: forge.git.port(),
            registry: behind,
            token_lookup: forge.lookups,
            workers: 2,
            filter: &filter,
            change: &change,
        };
        let envoy = Ingress::set_up(&setup).unwrap();
        let site = Self { envoy, forge, registry, secrets };
        // On Envoy 1.36 the listener is there a moment before a cluster that waits for its secret.
        let begin = Instant::now();
        for line in [FETCH, PUSH] {
            let answer = || site.send(line, &[&basic(1)]);
            while let answer = answer()
                && answer.status != Some(200)
            {
                assert!(begin.elapsed() < PATIENCE, "{answer:?} {}", site.envoy.log().unwrap());
            }
        }
        site.forge.git.seen();
        site
    }

    fn send(&self, line: &str, fields: &[&str]) -> Answer {
        self.send_to("127.0.0.1", line, fields)
    }

    fn send_to(&self, host: &str, line: &str, fields: &[&str]) -> Answer {
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n");
        self.envoy.raw(request.as_bytes(), PATIENCE).unwrap()
    }

    /// What reached the forge, which is never a slot or a job's token.
    fn seen(&self) -> Vec<Seen> {
        let seen = self.forge.git.seen();
        for one in &seen {
            let names_slot = one.fields.iter().any(|(name, _)| name == SLOT);
            assert!(!names_slot && !holds_token(one), "{one:?}");
        }
        seen
    }

    /// The accounts in whose names requests reached the forge, each once.
    fn accounts(&self) -> Vec<Option<String>> {
        let mut all: Vec<_> = self.seen().iter().map(|seen| seen.field("authorization").map(String::from)).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whether an ID token stands somewhere in a request, as it is or in base64.
fn holds_token(seen: &Seen) -> bool {
    let decoded = |value: &str| {
        let word = value.rsplit(' ').next().unwrap_or_default();
        STANDARD.decode(word).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    seen.fields.iter().any(|(_, value)| value.contains("eyJ") || decoded(value).contains("eyJ"))
}

fn basic(job: u64) -> String {
    format!("Authorization: {}", login("job", &id_token(job)))
}

fn account(account: Account) -> Vec<Option<String>> {
    vec![Some(account.login())]
}

#[test]
fn git_clones_and_pushes_with_an_id_token_in_the_name_of_two_accounts() {
    let site = Site::start("enforce", false);
    let dir = tempfile::tempdir().unwrap();
    let url = |project: &str| format!("http://job:{}@127.0.0.1:{}/{project}.git", id_token(2), site.envoy.port());
    git(dir.path(), &["clone", "--quiet", &url("apps/web"), "web"]);
    assert_eq!(site.accounts(), [vec![None], account(READER)].concat(), "first Git asks without a login");

    let web = dir.path().join("web");
    // More than Git sends in one piece.
    let noise: Vec<u8> = (0..3_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(web.join("large"), noise).unwrap();
    git(&web, &["add", "large"]);
    git(&web, &["commit", "--quiet", "--message", "large"]);
    git(&web, &["push", "--quiet", "origin", "HEAD:main"]);
    assert_eq!(site.accounts(), [vec![None], account(WRITER)].concat());
    git(dir.path(), &["clone", "--quiet", &url("apps/web"), "again"]);
    assert_eq!(fs::read(dir.path().join("again/large")).unwrap().len(), 3 << 20);
    assert_eq!(site.accounts(), [vec![None], account(READER)].concat());

    let denied =
        client(dir.path(), "git").args(["clone", "--quiet", &url("infra/secrets"), "secrets"]).output().unwrap();
    assert!(!denied.status.success());
    assert_eq!(site.accounts(), [None], "nothing that was not granted reaches the forge in anybody's name");
}

#[test]
fn a_slot_is_the_filters_alone_to_give_at_once_and_after_a_lookup() {
    let site = Site::start("enforce", false);
    let forged = [format!("{SLOT}: write"), "X-Jobscope-Credential: read".to_owned()];
    let forged = forged.each_ref().map(String::as_str);
    let person = format!("Authorization: {}", login("eve", "guess"));
    for slot in [&forged[..1], &forged[1..], &forged[..]] {
        assert_eq!(site.send(FETCH, slot).status, Some(401));
        assert_eq!(site.accounts(), [None]);
        assert_eq!(site.send(PUSH, &[slot, &[&*person]].concat()).status, Some(401));
        assert_eq!(site.accounts(), [Some(login("eve", "guess"))]);
        let denied =
            site.send("GET /infra/secrets.git/info/refs?service=git-upload-pack", &[slot, &[&*basic(1)]].concat());
        assert_eq!(denied.status, Some(404), "{denied:?}");
        let lfs = site.send("GET /apps/web.git/info/lfs/locks", &[slot, &[&*basic(1)]].concat());
        assert_eq!(lfs.status, Some(403), "{lfs:?}");
        assert_eq!(site.seen().len(), 0);
    }
    for job in 10..30 {
        // The first is looked up, the second is not.
        for _ in 0..2 {
            let answer = site.send(FETCH, &[forged[0], &*basic(job)]);
            assert_eq!((answer.status, answer.header("set-cookie")), (Some(200), None), "{answer:?}");
            assert_eq!(site.accounts(), account(READER));
            let answer = site.send(PUSH, &[forged[1], "Cookie: session=1", &*basic(job)]);
            assert_eq!((answer.status, answer.header("set-cookie")), (Some(200), None), "{answer:?}");
            assert_eq!(site.accounts(), account(WRITER));
        }
    }
}

#[test]
fn an_ended_job_is_refused_and_without_its_secret_nothing_goes_on() {
    let site = Site::start("enforce", false);
    assert_eq!(site.send(FETCH, &[&basic(3)]).status, Some(200));
    site.forge.end(&id_token(3));
    let begin = Instant::now();
    while site.send(FETCH, &[&basic(3)]).status != Some(401) {
        assert!(begin.elapsed() < PATIENCE, "its end is not noticed");
        std::thread::sleep(Duration::from_millis(100));
    }
    site.seen();
    for _ in 0..8 {
        assert_eq!(site.send(FETCH, &[&basic(3)]).status, Some(401));
    }
    assert_eq!(site.seen().len(), 0);

    exchange_secret(site.secrets.path(), "forge-read", "").unwrap();
    let begin = Instant::now();
    let reaches = || {
        assert!(site.send(FETCH, &[&basic(4)]).status.is_some());
        let accounts = site.accounts();
        assert!(accounts.is_empty() || accounts == account(READER), "{accounts:?}");
        !accounts.is_empty()
    };
    while reaches() {
        assert!(begin.elapsed() < PATIENCE, "Envoy keeps the secret");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!((0..8).all(|_| !reaches()), "a request reaches the forge without the secret");
    assert_eq!(site.send(PUSH, &[&basic(4)]).status, Some(200), "the other account is as before");
}

#[test]
fn what_is_only_observed_is_granted_nothing() {
    let site = Site::start("observe", false);
    let forged = format!("{SLOT}: write");
    assert_eq!(site.send(FETCH, &[&forged, &basic(4)]).status, Some(200));
    assert_eq!(site.accounts(), account(READER));
    let refused = site.send("GET /infra/secrets.git/info/refs?service=git-receive-pack", &[&forged, &basic(4)]);
    assert_eq!(refused.status, Some(401), "by the forge");
    let seen = site.forge.git.seen();
    assert_eq!(seen.len(), 1);
    let came = login("job", &id_token(4));
    assert_eq!(seen[0].field("authorization"), Some(&*came), "it goes on as it came");
    assert!(seen[0].fields.iter().all(|(name, _)| name != SLOT));
}

#[test]
fn a_registry_with_accounts_serves_a_job() {
    let site = Site::start("enforce", true);
    let dir = tempfile::tempdir().unwrap();
    host_tests::demo::write_image(&dir.path().join("image"), "v1").unwrap();
    let skopeo = |arguments: &[&str]| {
        let output = client(dir.path(), "skopeo").arg("--insecure-policy").args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let login = format!("job:{}", id_token(5));
    let image = |name: &str| format!("docker://localhost:{}/{name}:v1", site.envoy.port());
    let (web, other) = (image("apps/web/app"), image("infra/secrets/app"));
    let push = ["copy", "--dest-tls-verify=false", "--dest-creds", &login, "oci:image:v1"];
    let (done, said) = skopeo(&[&push[..], &[&web]].concat());
    assert!(done, "{said}");
    let pull = ["copy", "--src-tls-verify=false", "--src-creds", &login, &web, "oci:pulled:v1"];
    let (done, said) = skopeo(&pull);
    assert!(done, "{said}");
    let (done, said) = skopeo(&[&push[..], &[&other]].concat());
    assert!(!done && said.contains("403"), "{said}");
    let registry = site.registry.as_ref().unwrap();
    let log = registry.log().unwrap();
    assert!(log.contains("/v2/apps/web/app/manifests/v1"), "{log}");
    assert!(!log.contains("infra/secrets") && !log.contains(&id_token(5)), "{log}");

    // Each slot has its own account: without the one the other's requests go on working.
    let (read, write) = ("GET /v2/apps/web/app/tags/list", "POST /v2/apps/web/app/blobs/uploads/");
    for (only, statuses) in [(0, [200, 401]), (1, [401, 202])] {
        registry.exchange(HTPASSWD.lines().nth(only).unwrap()).unwrap();
        let status = |line| {
            let length = if line == read { "Accept: */*" } else { "Content-Length: 0" };
            site.send_to("localhost", line, &[&basic(5), length]).status.unwrap()
        };
        assert_eq!([status(read), status(write)], statuses, "{only}: {}", registry.log().unwrap());
    }
}
