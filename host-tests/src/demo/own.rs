//! What somebody brings along: a configuration of the filter, a world, or both. What of them must be the demo's own is put
//! in their place, and said.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Result;
use questions::named;
use questions::setup::{Setup, masked};
use serde_json::{Value, json};
use world::World;

use crate::stack::{self, LOOKUP_TOKEN, settings_here};

/// What of a configuration is the demo's own: its forge is a GitLab on this machine, and its Envoy has one cluster and one
/// credential for lookups.
const DEMOS: [&str; 6] =
    ["forge.kind", "forge.hosts", "forge.registry_hosts", "forge.relative_url_root", "lookup", "webhook"];

/// What stands in a project of which the world does not say what is in it.
const README: &str = "README.md";

/// Statuses of jobs whose token counts.
const EXECUTING: [&str; 2] = ["running", "canceling"];

/// What is wrong with a file that somebody brought, a line for each mistake.
#[derive(Debug)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A secret may stand where something else was expected.
        f.write_str(&masked(&self.0))
    }
}

impl std::error::Error for Wrong {}

/// A configuration and a world, as the demo takes them.
pub struct Own {
    /// The configuration; the deployed one where nobody brought another.
    pub settings: Value,
    /// The world's document; the demo's where nobody brought another.
    pub world: Value,
    /// What in them was changed, a line for each file.
    pub said: Vec<String>,
}

impl Own {
    /// Reads what was brought; `None` where nothing was.
    ///
    /// # Errors
    ///
    /// [`Wrong`], with every mistake in it.
    pub fn read(config: Option<&Path>, world: Option<&Path>) -> Result<Option<Self>> {
        if config.is_none() && world.is_none() {
            return Ok(None);
        }
        let (world_file, mut settings) = (world.map_or_else(stack::world, Path::to_owned), settings_here()?);
        // Both are read before anything is said of one.
        let world_read = read_world(&world_file);
        let known = world_read.as_ref().ok().map(|(world, _)| world);
        let config_read = config.map(|file| read_config(file, known)).transpose();
        let (config_read, mut document) = match (config_read, world_read) {
            (Ok(config), Ok((_, document))) => (config, document),
            (Err(one), Err(other)) => return Err(Wrong(format!("{one}\n{other}")).into()),
            (Err(wrong), _) | (_, Err(wrong)) => return Err(wrong.into()),
        };
        let mut said = Vec::new();
        if let (Some(file), Some((own, warnings))) = (config, config_read) {
            let (overlaid, names) = overlaid(own, &settings);
            settings = overlaid;
            said = warnings.iter().map(|warning| masked(warning)).collect();
            said.push(match names.is_empty() {
                true => format!("{}: taken as it is; Envoy around it is the demo's.", file.display()),
                false => format!("{}: the demo's own are {}, and Envoy around it.", file.display(), names.join(", ")),
            });
        }
        let added = complete(&mut document);
        if let Some(file) = world {
            said.push(format!("{}: the demo added {}.", file.display(), added.join(", ")));
        }
        // What is the demo's own may not go with the rest.
        Setup::of(settings.clone()).map_err(|errors| Wrong(format!("with what is the demo's own in it: {errors}")))?;
        Ok(Some(Self { settings, world: document, said }))
    }
}

fn read_text(file: &Path) -> Result<String, Wrong> {
    named::text(&file.display().to_string(), fs::read(file)).map_err(Wrong)
}

/// The configuration in a file, and a line for each warning.
fn read_config(file: &Path, world: Option<&World>) -> Result<(Value, Vec<String>), Wrong> {
    let read = named::checked(&file.display().to_string(), &read_text(file)?, world);
    read.map(|(setup, warnings)| (setup.document, warnings)).map_err(Wrong)
}

/// The world in a file, and its document.
fn read_world(file: &Path) -> Result<(World, Value), Wrong> {
    let (name, text) = (file.display().to_string(), read_text(file)?);
    let world = named::world(&name, &text).map_err(Wrong)?;
    let document: Option<Value> = serde_saphyr::from_str(&text).map_err(|error| Wrong(format!("{name}: {error}")))?;
    Ok((world, document.unwrap_or_else(|| json!({}))))
}

/// A configuration with what is the demo's own, and the names of what was something else in it.
fn overlaid(mut own: Value, demos: &Value) -> (Value, Vec<&'static str>) {
    let mut names = Vec::new();
    for name in DEMOS {
        let (above, key) = name.rsplit_once('.').unwrap_or(("", name));
        let pointer = if above.is_empty() { String::new() } else { format!("/{above}") };
        let demos = demos.pointer(&format!("{pointer}/{key}"));
        let Some(members) = own.pointer_mut(&pointer).and_then(Value::as_object_mut) else { continue };
        let was = match demos {
            Some(value) => members.insert(key.to_owned(), value.clone()),
            None => members.remove(key),
        };
        if was.is_some() && was.as_ref() != demos {
            names.push(name);
        }
    }
    (own, names)
}

/// Adds what the demo needs of a world, and tells what: the account that looks facts up, tokens of users and of jobs that run,
/// something in each repository. Images come when the registry runs.
fn complete(world: &mut Value) -> Vec<String> {
    let mut added = Vec::new();
    let mut people = 0;
    for user in entries(world, "users") {
        if user.get("token").is_none_or(Value::is_null) {
            user["token"] = json!(format!("glpat-demo-{}", user["username"].as_str().unwrap_or_default()));
            people += 1;
        }
    }
    if let Some(name) = add_account(entries(world, "users")) {
        added.push(format!("the service account `{name}`"));
    }
    let mut tokens = 0;
    for job in entries(world, "jobs") {
        let is_executing = job.get("status").and_then(Value::as_str).is_none_or(|status| EXECUTING.contains(&status));
        if is_executing && job.get("token").is_none_or(Value::is_null) {
            job["token"] = json!(format!("glcbt-64_demo{:0>16}", job["id"].to_string()));
            tokens += 1;
        }
    }
    let mut files = 0;
    for project in entries(world, "projects") {
        if project.get("repository").is_none_or(Value::is_null) {
            project["repository"] =
                json!({"files": {README: format!("{}\n", project["path"].as_str().unwrap_or_default())}});
            files += 1;
        }
    }
    let some = |count: u64, what: &str| (count > 0).then(|| format!("{what} ({count})"));
    added.extend(some(people, "tokens of users"));
    added.extend(some(tokens, "tokens of running jobs"));
    added.extend(some(files, "repositories with a README.md"));
    added.push("an image in each project's registry".to_owned());
    added
}

/// Adds the account that looks facts up, where there is none.
fn add_account(users: &mut Vec<Value>) -> Option<String> {
    if users.iter().any(|user| user["token"] == LOOKUP_TOKEN.1 && user["admin"] == true) {
        return None;
    }
    let is_taken = |name: &str| users.iter().any(|user| user["username"] == name);
    let name = (0..).map(|more| format!("jobscope-demo{}", "-".repeat(more))).find(|name| !is_taken(name))?;
    let highest = users.iter().filter_map(|user| user["id"].as_u64()).max().unwrap_or_default();
    users.push(json!({"id": highest.saturating_add(1), "username": name, "token": LOOKUP_TOKEN.1, "admin": true}));
    Some(name)
}

/// The entries of a list of a world, which is made where there is none.
fn entries<'a>(world: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    let list = &mut world[name];
    if !list.is_array() {
        *list = json!([]);
    }
    list.as_array_mut().expect("it was made a list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_the_demos_is_and_the_rest_stays() {
        let own = json!({"mode": "observe", "forge": {"hosts": ["f.invalid"], "kind": "gitlab", "relative_url_root": "/gitlab"},
            "lookup": {"cluster": "mine", "retries": 3}, "webhook": {"path": "/-/mine/hook", "secret_env": "MINE"}});
        let demos = settings_here().unwrap();
        let (taken, names) = overlaid(own, &demos);
        assert_eq!(names, ["forge.hosts", "forge.relative_url_root", "lookup", "webhook"]);
        assert_eq!(taken["mode"], "observe");
        for pointer in ["/forge/hosts", "/forge/registry_hosts", "/lookup", "/webhook"] {
            assert_eq!(taken.pointer(pointer), demos.pointer(pointer), "{pointer}");
        }
        Setup::of(taken).unwrap();
    }

    #[test]
    fn a_world_gets_what_the_demo_needs_and_keeps_what_it_has() {
        let text = "users: [{id: 4, username: jobscope-demo}]\ngroups: [{id: 1, path: a}]\nprojects: [{id: 7, path: a/b}]\n\
                    jobs:\n- {id: 1, name: x, project: a/b, token: mine}\n- {id: 2, name: x, project: a/b}\n\
                    - {id: 3, name: x, project: a/b, status: success}\n";
        let mut document: Value = serde_saphyr::from_str(text).unwrap();
        let added = complete(&mut document);
        assert_eq!(added[0], "the service account `jobscope-demo-`");
        assert_eq!(added[1..3], ["tokens of users (1)", "tokens of running jobs (1)"]);
        let world = World::parse(&document.to_string()).unwrap();
        let tokens: Vec<Option<&str>> = world.jobs.iter().map(|job| job.token.as_deref()).collect();
        assert_eq!(tokens, [Some("mine"), Some("glcbt-64_demo0000000000000002"), None]);
        assert_eq!(world.projects[0].repository.files[README], "a/b\n");
        assert!(world.users.iter().any(|user| user.admin && user.token.as_deref() == Some(LOOKUP_TOKEN.1)));
        let mut again = document.clone();
        assert_eq!(complete(&mut again), ["an image in each project's registry"]);
        assert_eq!(again, document);
    }

    #[test]
    fn every_mistake_of_both_files_is_told_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let (config, world) = (dir.path().join("c.yaml"), dir.path().join("w.yaml"));
        fs::write(
            &config,
            "forge: {hosts: [f.invalid]}\nlookup: {cluster: c, authority: f.invalid, credential_env: E}\nmodes: x\n",
        )
        .unwrap();
        fs::write(&world, "projects:\n- {id: 1, path: a/b}\n").unwrap();
        let wrong = Own::read(Some(&config), Some(&world)).err().unwrap().to_string();
        let lines: Vec<&str> = wrong.lines().collect();
        assert!(lines[0].starts_with(&format!("{}:3: modes: ", config.display())), "{wrong}");
        assert!(lines[1].starts_with(&format!("{}:2: projects[0].path: ", world.display())), "{wrong}");
        fs::write(&world, "").unwrap();
        fs::write(
            &config,
            "forge: {hosts: [f.invalid]}\nlookup: {cluster: c, authority: f.invalid, credential_env: E}\n\
                            access: {deny: [{id: a, targets: [x/y]}]}\n",
        )
        .unwrap();
        let said = Own::read(Some(&config), Some(&world)).unwrap().unwrap().said;
        let warning =
            format!("{}:3: access.deny[0].targets[0]: the world has no project or group `x/y`", config.display());
        assert_eq!(said[0], warning, "{said:?}");
        fs::write(
            &config,
            "forge: {hosts: ['https://u:p4ssword@h']}\nmode: glpat-abcdefghijk12345\n\
                            lookup: {cluster: c, authority: h, credential_env: glpat-abcdefghijk12345}\n",
        )
        .unwrap();
        let wrong = Own::read(Some(&config), None).err().unwrap().to_string();
        assert!(wrong.contains("found `\"[secret]\"`"), "{wrong}");
        assert!(!wrong.contains("p4ssword") && !wrong.contains("abcdefghijk"), "{wrong}");
        let gone = Own::read(Some(&dir.path().join("gone")), None).err().unwrap();
        assert!(gone.downcast_ref::<Wrong>().unwrap().0.starts_with("cannot read `"), "{gone}");
    }
}
