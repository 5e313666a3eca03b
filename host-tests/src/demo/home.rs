//! The home directory of the story's clients: what a runner's image would have set up, and nothing of this machine's.

use std::fs;
use std::path::Path;

use anyhow::Result;

const GIT: &str = "\
[user]
\tname = demo
\temail = demo@localhost
[init]
\tdefaultBranch = main
[filter \"lfs\"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
";

/// After each answer its status, for the story to look at.
const CURL: &str = "\
silent
show-error
write-out = \"\\nHTTP %{http_code}\\n\"
";

const IMAGE_POLICY: &str = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;

/// Writes the clients' configuration into `home`. `registry` speaks plain HTTP.
pub(super) fn furnish(home: &Path, registry: &str) -> Result<()> {
    let containers = home.join(".config/containers");
    fs::create_dir_all(&containers)?;
    fs::write(home.join(".gitconfig"), GIT)?;
    fs::write(home.join(".curlrc"), CURL)?;
    fs::write(containers.join("policy.json"), IMAGE_POLICY)?;
    fs::write(home.join("tunnel.py"), include_str!("tunnel.py"))?;
    fs::write(home.join("tls"), include_str!("tls"))?;
    fs::write(home.join("docker"), include_str!("docker"))?;
    let registries = format!("[[registry]]\nlocation = \"{registry}\"\ninsecure = true\n");
    fs::write(containers.join("registries.conf"), registries)?;
    Ok(())
}
