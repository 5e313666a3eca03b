//! Real readers of credentials beside the filter: what goes on unjudged holds no job token in the eyes of any of them.
//!
//! A generator plants a credential in a request, near the edge of what the readers do with Base64, schemes, names,
//! escapes and types. The core reads the request, and the readers get the same bytes: Rack, ActionPack and Grape behind
//! Puma, Go's net/http with golang-jwt, and Werkzeug with PyJWT and giftless. They answer with what they found. Where a
//! forge looks, and what it prefers, is written down in `host-tests/readers` and in [`verdict`]; how a place is read is
//! theirs.

mod filtered;
mod program;
mod request;
mod spelling;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use policy::Config;
use policy::choices::Kind;

pub use filtered::{Filtered, compare_compiled};
pub use program::{Language, Reader};
use request::Route;
pub use request::{Plant, Planted};
use verdict::verdict;

use super::Random;

/// One for each reader, which is asked one request at a time.
const THREADS: usize = Language::ALL.len();

/// A forge, what its jobs show, and who may read it.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Which forge.
    pub kind: Kind,
    /// The filter's configuration.
    pub configuration: &'static str,
    routes: &'static [Route],
    plants: &'static [Plant],
    languages: &'static [Language],
}

/// GitLab is read in Ruby; Workhorse and the registry in Go.
pub const GITLAB: Family = Family {
    kind: Kind::Gitlab,
    configuration: r#"{
        "forge": {"hosts": ["forge.example.com"], "registry_hosts": ["registry.example.com"]},
        "lookup": {"cluster": "lookup", "authority": "forge.example.com", "credential_env": "LOOKUP_TOKEN"}
    }"#,
    routes: &request::ROUTES,
    plants: &request::GITLAB,
    languages: &Language::ALL,
};
/// Other forges are read in Go, giftless in Python.
pub const ELSEWHERE: Family = Family {
    kind: Kind::Generic,
    configuration: r#"{
        "forge": {"kind": "generic", "hosts": ["forge.example.com"], "registry_hosts": ["registry.example.com"]},
        "lookup": {"cluster": "lookup", "authority": "forge.example.com", "credential_env": "LOOKUP_TOKEN"}
    }"#,
    routes: &request::ROUTES,
    plants: &request::ELSEWHERE,
    languages: &[Language::Go, Language::Python],
};
/// Gitea and Forgejo on their own paths: package registries among them, which read JWTs in a way of their own.
pub const GITEA: Family = Family {
    kind: Kind::Gitea,
    configuration: r#"{
        "forge": {"kind": "gitea", "hosts": ["forge.example.com"]},
        "lookup": {"cluster": "lookup", "authority": "forge.example.com", "credential_env": "LOOKUP_TOKEN"}
    }"#,
    routes: &request::ROUTES_OF_GITEA,
    plants: &request::ELSEWHERE,
    languages: &[Language::Go],
};

impl Family {
    /// One of its requests, by number.
    #[must_use]
    pub fn request(&self, seed: u64, number: usize) -> Planted {
        request::plant(self.routes, self.plants, &mut Random::new((seed << 40) ^ number as u64))
    }

    /// Gives requests with these numbers to filter and readers.
    ///
    /// # Errors
    /// A reader is gone.
    pub fn compare(&self, readers: &[Reader], seed: u64, count: usize) -> Result<Report> {
        let config = Config::parse(self.configuration.as_bytes()).map_err(|errors| anyhow!("{errors}"))?;
        let readers: Vec<&Reader> = readers.iter().filter(|one| self.languages.contains(&one.language)).collect();
        let begin = Instant::now();
        let shares: Vec<Result<Report>> = thread::scope(|scope| {
            let share = |first| (first..count).step_by(THREADS);
            let asking: Vec<_> = (0..THREADS)
                .map(|first| {
                    scope.spawn({
                        let (config, readers) = (&config, &readers);
                        move || self.ask(config, readers, seed, share(first), begin)
                    })
                })
                .collect();
            asking.into_iter().map(|asked| asked.join().map_err(|_| anyhow!("a thread of readers ended"))?).collect()
        });
        let mut report = Report::default();
        for share in shares {
            report.add(share?);
        }
        Ok(report)
    }

    fn ask(
        &self,
        config: &Config,
        readers: &[&Reader],
        seed: u64,
        numbers: impl Iterator<Item = usize>,
        begin: Instant,
    ) -> Result<Report> {
        let mut report = Report::default();
        let mut told = Instant::now();
        for number in numbers {
            if number % THREADS == 0 && told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                eprintln!("  {number} requests of {:?} after {:?}", self.kind, begin.elapsed());
            }
            let planted = self.request(seed, number);
            let bytes = match planted.bytes() {
                Ok(bytes) => bytes,
                Err(why) => {
                    *report.unsent.entry(why).or_default() += 1;
                    continue;
                }
            };
            let filtered = Filtered::of(config, &planted);
            let mut is_found = false;
            for reader in readers {
                let Some(answer) = reader.ask(&bytes)? else {
                    report.unread += 1;
                    continue;
                };
                let (wrong, is_found_here) = verdict(self.kind, &planted, &filtered, reader.language, &answer);
                is_found |= is_found_here;
                if let Some(why) = wrong {
                    report.tell(Disagreement {
                        language: reader.language,
                        seed,
                        number,
                        after: begin.elapsed(),
                        why,
                        route: planted.route,
                        filtered: filtered.to_string(),
                        request: planted.to_string(),
                    });
                }
            }
            *match (filtered, is_found) {
                (Filtered::Passed | Filtered::Remembered, _) => &mut report.passed,
                (Filtered::Judged(_), true) => &mut report.judged,
                (Filtered::Judged(_), false) => &mut report.judged_alone,
                (Filtered::Refused(_), true) => &mut report.dangerous,
                (Filtered::Refused(_), false) => &mut report.refused,
            } += 1;
        }
        Ok(report)
    }
}

/// What came of many requests.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// They went on, and no reader found what was planted.
    pub passed: usize,
    /// They were judged, and a reader found the same token.
    pub judged: usize,
    /// They were judged, and no reader found a token.
    pub judged_alone: usize,
    /// They were refused, and a reader would have served them.
    pub dangerous: usize,
    /// They were refused, and no reader found a token.
    pub refused: usize,
    /// A reader took them for no request.
    pub unread: usize,
    /// No proxy would send them on: why, and how many.
    pub unsent: BTreeMap<&'static str, usize>,
    /// The shortest of each kind, and how many there are.
    disagreements: BTreeMap<String, (Disagreement, usize)>,
}

impl Report {
    fn add(&mut self, more: Self) {
        self.passed += more.passed;
        self.judged += more.judged;
        self.judged_alone += more.judged_alone;
        self.dangerous += more.dangerous;
        self.refused += more.refused;
        self.unread += more.unread;
        for (why, count) in more.unsent {
            *self.unsent.entry(why).or_default() += count;
        }
        for (one, count) in more.disagreements.into_values() {
            self.tell(one.clone());
            if let Some((_, known)) = self.disagreements.get_mut(&one.kind()) {
                *known += count - 1;
            }
        }
    }

    fn tell(&mut self, one: Disagreement) {
        let (known, count) = self.disagreements.entry(one.kind()).or_insert_with(|| (one.clone(), 0));
        *count += 1;
        let first = known.after.min(one.after);
        if one.request.len() < known.request.len() {
            *known = one;
        }
        known.after = first;
    }

    /// Each kind of disagreement in words.
    #[must_use]
    pub fn disagreements(&self) -> Vec<String> {
        self.disagreements.values().map(|(one, count)| format!("{one}\n    {count} of this kind")).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, judged, judged_alone, dangerous, refused, unread, unsent, disagreements: _ } = self;
        write!(
            f,
            "{passed} passed on, {judged} judged by the token that a reader finds and {judged_alone} by one that none finds, \
             {dangerous} refused that a reader would serve and {refused} others; readers refused {unread}; not sent: {unsent:?}"
        )
    }
}

/// A request of which filter and reader think differently.
#[derive(Clone, Debug)]
struct Disagreement {
    language: Language,
    seed: u64,
    number: usize,
    after: Duration,
    why: String,
    route: Route,
    filtered: String,
    request: String,
}

impl Disagreement {
    /// Requests of one kind are told once.
    fn kind(&self) -> String {
        let until_quote = |text: &str| text.split('`').next().unwrap_or_default().to_owned();
        format!(
            "{:?}: {}, {}, {:?}",
            self.language,
            until_quote(&self.why),
            until_quote(&self.filtered),
            self.route.body
        )
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { language, seed, number, after, why, route: _, filtered, request } = self;
        write!(
            f,
            "to the reader in {language:?} {why}; the filter: {filtered}\n    seed {seed}, request {number}; first after {after:.1?}\n      {request}"
        )
    }
}
