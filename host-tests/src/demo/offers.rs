//! What there is to try in a world: for each job that runs, commands with its token, and how each of them ends.

use anyhow::{Context, Result};
use policy::Config;
use policy::decision::Outcome;
use questions::deciding;
use questions::job::Caller;
use world::{Project, Role, World};

use super::image;
use super::story::Offer;

/// Of so many jobs commands are shown.
const MOST_JOBS: usize = 6;

/// Among so many projects something is looked for that passes, and something that does not.
const MOST_PROJECTS: usize = 60;

/// The denial that tells most about allowlists.
const TELLING: (Option<u16>, &str) = (Some(403), "allowlist.missing");

/// How what is not denied ends.
const PASSING: [&str; 2] = ["allow", "untouched"];

/// A job, and what is decided by.
struct Asking<'a> {
    config: &'a Config,
    world: &'a World,
    caller: &'a Caller,
    to: &'a Addresses,
}

/// A kind of command: it asks a project, where that can be.
type Command<Asking> = fn(&Asking, &Project) -> Result<Option<Try>>;

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
pub(super) fn offers(config: &Config, world: &World, to: &Addresses) -> Result<Vec<Offer>> {
    let running: Vec<_> = world.jobs.iter().filter(|job| job.status.executing()).collect();
    let mut offers = Vec::new();
    for job in running.iter().take(MOST_JOBS) {
        let caller = Caller::numbered(job.id, world)?;
        let own = world.project(job.project).context("a job's project is one of the world's")?;
        let asking = Asking { config, world, caller: &caller, to };
        let run: String = asking.tries(own)?.iter().map(Try::shown).collect();
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

impl Asking<'_> {
    /// The kinds, and how many are shown that pass, and how many that do not.
    const COMMANDS: [(Command<Self>, usize); 4] =
        [(Self::clone, 3), (Self::clone_in_person, 1), (Self::download, 1), (Self::inspect, 1)];

    /// The own project, and of each kind of command some that pass and some that do not, each for another reason.
    fn tries(&self, own: &Project) -> Result<Vec<Try>> {
        let mut others = Vec::new();
        for project in self.world.projects.iter().filter(|project| project.id != own.id).take(MOST_PROJECTS) {
            let is_telling = self.clone(project)?.is_some_and(|one| (one.status, one.reason) == TELLING);
            others.push((project, is_telling));
        }
        // What tells most is shown in each kind.
        others.sort_by_key(|(_, is_telling)| !is_telling);
        let mut tries: Vec<Try> = self.clone(own)?.into_iter().collect();
        for (command, most) in Self::COMMANDS {
            let mut found: Vec<Try> = Vec::new();
            for (project, _) in &others {
                let one = command(self, project)?;
                found.extend(one.filter(|one| !found.iter().any(|other| other.ends() == one.ends())));
            }
            let (passing, denied): (Vec<Try>, Vec<Try>) =
                found.into_iter().partition(|one| PASSING.contains(&one.verdict));
            tries.extend(passing.into_iter().take(most).chain(denied.into_iter().take(most)));
        }
        Ok(tries)
    }

    fn clone(&self, project: &Project) -> Result<Option<Try>> {
        let address = format!("http://gitlab-ci-token:{}@{}/{}.git", self.caller.secret, self.to.forge, project.path);
        self.decided("git clone".to_owned(), &address, None).map(Some)
    }

    /// A clone by the job's user, who may do what the job may not.
    fn clone_in_person(&self, project: &Project) -> Result<Option<Try>> {
        let user = self.caller.job.user.as_ref().and_then(|user| self.world.user_named(&user.name));
        let Some((user, token)) = user.and_then(|user| Some((user, user.token.as_deref()?))) else { return Ok(None) };
        let is_denied = self.clone(project)?.is_some_and(|one| one.status.is_some());
        if !is_denied || self.world.role(project, user.id) < Some(Role::Reporter) {
            return Ok(None);
        }
        let address = format!("http://{}:{token}@{}/{}.git", user.username, self.to.forge, project.path);
        let one = self.decided("git clone".to_owned(), &address, None)?;
        Ok(Some(Try { reason: "a person's request", ..one }))
    }

    /// A package of the project, or its releases.
    fn download(&self, project: &Project) -> Result<Option<Try>> {
        let file = project.generic_packages.keys().next();
        let what = file.map_or_else(|| "releases".to_owned(), |file| format!("packages/generic/{file}"));
        let address = format!("http://{}/api/v4/projects/{}/{what}", self.to.forge, project.path.replace('/', "%2F"));
        let head = format!("curl --header {}", quoted(&format!("JOB-TOKEN: {}", self.caller.secret))?);
        self.decided(head, &address, None).map(Some)
    }

    fn inspect(&self, project: &Project) -> Result<Option<Try>> {
        let Some(repository) = image::repository(&project.path) else { return Ok(None) };
        let image = format!("{}/{repository}:{}", self.to.registry, image::TAG);
        let login = format!("gitlab-ci-token:{}", self.caller.secret);
        let head = format!("skopeo inspect --tls-verify=false --creds {}", quoted(&login)?);
        // The rules are asked in the words of a client that the command knows.
        let pulled = format!("docker pull {}", quoted(&image)?);
        self.decided(head, &format!("docker://{image}"), Some(&pulled)).map(Some)
    }

    /// Decides on a command as the filter will, or on what means the same to it.
    fn decided(&self, head: String, address: &str, meant: Option<&str>) -> Result<Try> {
        let address = quoted(address)?;
        let line = meant.map_or_else(|| format!("{head} {address}"), str::to_owned);
        let answers = deciding::line(self.config, self.world, self.caller, &line, &|_| None)?;
        let decision = answers.speaks().and_then(|answer| answer.decision.as_ref());
        let reason = decision.map_or("-", |decision| decision.record.reason);
        let status = decision.and_then(|decision| match &decision.outcome {
            Outcome::Reply(reply) => Some(reply.status),
            Outcome::Forward(_) => None,
        });
        Ok(Try { head, address, verdict: answers.verdict().word(), status, reason })
    }
}

impl Try {
    fn ends(&self) -> (&'static str, Option<u16>, &'static str) {
        (self.verdict, self.status, self.reason)
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
        let world = "users: [{id: 1, username: eve, token: glpat-eve}]\ngroups: [{id: 1, path: shop}]\nprojects:\n\
            - {id: 1, path: shop/till, members: {eve: developer}}\n\
            - {id: 2, path: shop/hidden}\n\
            - {id: 3, path: shop/vault, members: {eve: developer}, allowlist: {}}\n\
            - {id: 4, path: shop/stock, members: {eve: developer}, allowlist: {projects: [shop/till]}}\n\
            jobs: [{id: 9, name: b, project: shop/till, user: eve, token: glcbt-64_eve}]\n";
        let said = said(world);
        let lines: Vec<&str> = said[0].lines().collect();
        assert_eq!(lines[0], "Job 9, shop/till@main as eve:");
        assert_eq!(
            lines[1..11],
            [
                "# allow, own-project",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/till.git",
                "# allow, allowlist.project",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/stock.git",
                "# deny, 403, allowlist.missing",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/vault.git",
                "# deny, 404, allowlist.missing",
                "git clone http://gitlab-ci-token:glcbt-64_eve@127.0.0.1:8080/shop/hidden.git",
                "# untouched, a person's request",
                "git clone http://eve:glpat-eve@127.0.0.1:8080/shop/vault.git",
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
