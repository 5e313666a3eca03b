//! What there is to try in a world: for each job that runs, commands with its token, and how each of them ends.

use anyhow::{Context, Result};
use policy::Config;
use policy::decision::Outcome;
use questions::deciding;
use questions::job::Caller;
use world::{Project, World};

use super::story::Offer;

/// Of so many jobs commands are shown.
const MOST_JOBS: usize = 6;

/// Among so many projects something is looked for that passes, and something that does not.
const MOST_PROJECTS: usize = 60;

/// The tag of the images.
pub(super) const TAG: &str = "v1";

/// The denial that tells most about allowlists.
const TELLING: (Option<u16>, &str) = (Some(403), "allowlist.missing");

/// A kind of command: it asks a project.
type Command = fn(&Config, &World, &Caller, &Project, &Addresses) -> Result<Try>;

/// The kinds, and how many are shown that pass, and how many that do not.
const COMMANDS: [(Command, usize); 3] = [(clone, 3), (download, 1), (inspect, 1)];

/// How wide a command may be on one line.
const WIDE: usize = 98;

/// A command and how it ends.
struct Try {
    head: String,
    /// The last word: what is asked for.
    address: String,
    verdict: &'static str,
    /// What a client that is refused gets: of two refusals for one reason, 403 tells it.
    status: Option<u16>,
    reason: &'static str,
}

/// Where clients find the stack.
pub(super) struct Addresses {
    /// Host and port of the forge.
    pub(super) forge: String,
    /// Host and port of the registry.
    pub(super) registry: String,
}

/// Commands for each job of the world that runs, under a configuration.
pub(super) fn offers(config: &Config, world: &World, addresses: &Addresses) -> Result<Vec<Offer>> {
    let running: Vec<_> = world.jobs.iter().filter(|job| job.status.executing()).collect();
    let mut offers = Vec::new();
    for job in running.iter().take(MOST_JOBS) {
        let caller = Caller::numbered(job.id, world)?;
        let own = world.project(job.project).context("a job's project is one of the world's")?;
        let tries = tries(config, world, &caller, own, addresses)?;
        let run: String = tries.iter().map(Try::shown).collect();
        offers.push(Offer { say: format!("Job {}, {}:", job.id, caller.label()), run });
    }
    if let Some(more) = running.len().checked_sub(MOST_JOBS).filter(|more| *more > 0) {
        offers.push(Offer {
            say: format!("{more} more jobs run; `world.json` among the files has their tokens."),
            run: String::new(),
        });
    }
    if running.is_empty() {
        let say = "No job of this world runs, so that there is no token to try: give one `status: running`.".to_owned();
        offers.push(Offer { say, run: String::new() });
    }
    Ok(offers)
}

/// The own project, and of each kind of command some that pass and some that do not, each for another reason.
fn tries(config: &Config, world: &World, caller: &Caller, own: &Project, addresses: &Addresses) -> Result<Vec<Try>> {
    let mut others = Vec::new();
    for project in world.projects.iter().filter(|project| project.id != own.id).take(MOST_PROJECTS) {
        let one = clone(config, world, caller, project, addresses)?;
        others.push((project, (one.status, one.reason) == TELLING));
    }
    // What tells most is shown in each kind.
    others.sort_by_key(|(_, is_telling)| !is_telling);
    let mut tries = vec![clone(config, world, caller, own, addresses)?];
    for (command, most) in COMMANDS {
        let mut found: Vec<Try> = Vec::new();
        for (project, _) in &others {
            let one = command(config, world, caller, project, addresses)?;
            if !found.iter().any(|other| (other.status, other.reason) == (one.status, one.reason)) {
                found.push(one);
            }
        }
        let (passing, denied): (Vec<Try>, Vec<Try>) = found.into_iter().partition(|one| one.verdict == "allow");
        tries.extend(passing.into_iter().take(most).chain(denied.into_iter().take(most)));
    }
    Ok(tries)
}

fn clone(config: &Config, world: &World, caller: &Caller, project: &Project, to: &Addresses) -> Result<Try> {
    let address = format!("http://gitlab-ci-token:{}@{}/{}.git", caller.secret, to.forge, project.path);
    Try::of(config, world, caller, "git clone".to_owned(), &address, None)
}

/// A package of the project, or its releases.
fn download(config: &Config, world: &World, caller: &Caller, project: &Project, to: &Addresses) -> Result<Try> {
    let file = project.generic_packages.keys().next();
    let what = file.map_or_else(|| "releases".to_owned(), |file| format!("packages/generic/{file}"));
    let address = format!("http://{}/api/v4/projects/{}/{what}", to.forge, project.path.replace('/', "%2F"));
    let head = format!("curl --header {}", quoted(&format!("JOB-TOKEN: {}", caller.secret))?);
    Try::of(config, world, caller, head, &address, None)
}

fn inspect(config: &Config, world: &World, caller: &Caller, project: &Project, to: &Addresses) -> Result<Try> {
    let image = format!("{}/{}:{TAG}", to.registry, project.path.to_lowercase());
    let login = format!("gitlab-ci-token:{}", caller.secret);
    let head = format!("skopeo inspect --tls-verify=false --creds {}", quoted(&login)?);
    // The rules are asked in the words of a client that the command knows.
    let pulled = format!("docker pull {}", quoted(&image)?);
    Try::of(config, world, caller, head, &format!("docker://{image}"), Some(&pulled))
}

impl Try {
    /// Decides on a command as the filter will, or on what means the same to it.
    fn of(
        config: &Config,
        world: &World,
        caller: &Caller,
        head: String,
        address: &str,
        meant: Option<&str>,
    ) -> Result<Self> {
        let address = quoted(address)?;
        let line = meant.map_or_else(|| format!("{head} {address}"), str::to_owned);
        let answers = deciding::line(config, world, caller, &line, &|_| None)?;
        let decision = answers.speaks().and_then(|answer| answer.decision.as_ref());
        let reason = decision.map_or("-", |decision| decision.record.reason);
        let status = decision.and_then(|decision| match &decision.outcome {
            Outcome::Reply(reply) => Some(reply.status),
            Outcome::Forward(_) => None,
        });
        Ok(Self { head, address, verdict: answers.verdict().word(), status, reason })
    }

    fn shown(&self) -> String {
        let Self { head, address, verdict, status, reason } = self;
        let status = status.map_or_else(String::new, |status| format!(", {status}"));
        let gap = if head.len() + address.len() < WIDE { " " } else { " \\\n    " };
        format!("# {verdict}{status}, {reason}\n{head}{gap}{address}\n")
    }
}

fn quoted(word: &str) -> Result<String> {
    Ok(shlex::try_quote(word)?.into_owned())
}

#[cfg(test)]
mod tests {
    use questions::setup::Setup;

    use super::*;
    use crate::stack::settings_here;

    fn said(text: &str) -> Vec<String> {
        let config = Setup::of(settings_here().unwrap()).unwrap().config;
        let addresses = Addresses { forge: "127.0.0.1:8080".into(), registry: "localhost:8080".into() };
        let offers = offers(&config, &World::parse(text).unwrap(), &addresses).unwrap();
        offers.into_iter().map(|offer| format!("{}\n{}", offer.say, offer.run)).collect()
    }

    #[test]
    fn a_running_job_gets_commands_that_pass_and_commands_that_do_not() {
        let world = "users: [{id: 1, username: eve}]\ngroups: [{id: 1, path: shop}]\nprojects:\n\
            - {id: 1, path: shop/till, members: {eve: developer}}\n\
            - {id: 2, path: shop/hidden}\n\
            - {id: 3, path: shop/vault, members: {eve: developer}, allowlist: {}}\n\
            - {id: 4, path: shop/stock, members: {eve: developer}, allowlist: {projects: [shop/till]}}\n\
            jobs: [{id: 9, name: b, project: shop/till, user: eve, token: glcbt-64_eve}]\n";
        let said = said(world);
        let lines: Vec<&str> = said[0].lines().collect();
        assert_eq!(lines[0], "Job 9, shop/till@main as eve:");
        assert_eq!(
            lines[1..7],
            [
                "# allow, own-project",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/till.git",
                "# allow, allowlist.project",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/stock.git",
                "# deny, 403, allowlist.missing",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/vault.git",
            ]
        );
        assert_eq!(lines.iter().filter(|line| line.starts_with("# deny")).count(), 4, "{said:?}");
        assert!(said[0].contains("curl --header 'JOB-TOKEN: glcbt-64_eve' "), "{said:?}");
        assert!(said[0].contains("docker://localhost:8080/shop/vault:v1"), "{said:?}");
    }

    #[test]
    fn where_no_job_runs_that_is_said() {
        let said = said(
            "groups: [{id: 1, path: a}]\nprojects: [{id: 1, path: a/b}]\njobs: [{id: 1, name: x, project: a/b, status: failed}]",
        );
        assert!(said[0].starts_with("No job of this world runs"), "{said:?}");
    }
}
