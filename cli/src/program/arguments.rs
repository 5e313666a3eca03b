//! What may stand on the command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

/// What the access rules of jobscope say: of a request, of a configuration, of everybody.
///
/// Exit codes: 0 as hoped for (allowed, nothing wrong, no difference), 1 not (denied, errors found, something differs),
/// 2 when the question cannot be answered.
#[derive(Parser)]
#[command(name = "jobscope", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Check(Check),
    Doctor(Doctor),
    Decide(Decide),
    WhoCan(WhoCan),
    Can(Can),
    Diff(Diff),
    Explain(Explain),
    Suggest(Suggest),
    Replay(Replay),
    Test(Test),
    Verify(Verify),
    Completions(Completions),
    Man(Man),
}

/// Verify a filter: that it is the one of a release.
///
/// By the release's sums, under its name or, where it was given another, by its sum; by the release's signature of it, in the
/// bundle that cosign reads, with a P-256 key. A signature is looked up in no public log.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope verify jobscope-0.1.0.wasm --sums SHA256SUMS \\
    --signature jobscope-0.1.0.wasm.sigstore.json --key jobscope.pub

Exit codes: 0 it is the one, 1 it is not, 2 it cannot be told.")]
#[command(group(ArgGroup::new("by").required(true).multiple(true)))]
pub(crate) struct Verify {
    /// The filter.
    pub(crate) wasm: PathBuf,
    /// The sums of the release, as `sha256sum` writes them. They tell a damaged file; whoever can exchange the filter beside
    /// them can exchange them, too.
    #[arg(long, group = "by")]
    pub(crate) sums: Option<PathBuf>,
    /// The signature of the filter: `jobscope-VERSION.wasm.sigstore.json`.
    #[arg(long, group = "by", requires = "key")]
    pub(crate) signature: Option<PathBuf>,
    /// The public key, in PEM. Get it another way than the files.
    #[arg(long, requires = "signature")]
    pub(crate) key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print what completes the command in a shell.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope completions bash > /etc/bash_completion.d/jobscope

Exit codes: 0 it is printed, 2 there is no such shell.")]
pub(crate) struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Print a manual page: of all, or of one command.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope man decide > /usr/local/share/man/man1/jobscope-decide.1

Exit codes: 0 it is printed, 2 there is no such command.")]
pub(crate) struct Man {
    /// Which command.
    pub(crate) command: Option<String>,
}

/// Play the policy tests of files, and tell which rules none of them reached.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope test policy-tests.yaml

Exit codes: 0 all passed, 1 some failed, 2 some cannot be played.")]
pub(crate) struct Test {
    /// Files of tests, see docs/command.md.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How to tell what came of them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Print JSON; the same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Play them again whenever a file changes that they are made of: a test, a configuration, a world. Until Ctrl-C.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub(crate) watch: bool,
}

/// How to tell what came of tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// JUnit's XML, which CI systems show.
    Junit,
    /// The Test Anything Protocol.
    Tap,
}

/// Of what it is asked who reaches what: of a world, or of a forge that runs.
#[derive(Args)]
#[command(group(ArgGroup::new("asked").required(true)))]
pub(crate) struct Of {
    /// The filter's configuration, or a file of Envoy's with one in it. Without it, one that looks everything up and has no
    /// rules of its own.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// The world: users, groups, projects, allowlists, jobs. See docs/world.schema.json.
    #[arg(long, group = "asked")]
    pub(crate) world: Option<PathBuf>,
    /// Ask the forge instead, as the filter does.
    #[arg(long, group = "asked", requires = "config")]
    pub(crate) forge: bool,
    #[command(flatten)]
    pub(crate) reached: Reached,
    /// Ask of every user of the world, and of jobs behind which nobody stands; not only of those who start jobs in the origin,
    /// its developers and above.
    #[arg(long, conflicts_with = "forge")]
    pub(crate) everybody: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who can do something at a project: every origin and user, and by what.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope who-can git.read libs/common --config envoy.yaml --world world.yaml

Exit codes: 0 it is told, also where nobody can, 2 it cannot be told.")]
pub(crate) struct WhoCan {
    /// What is done: an action such as `git.read` or `oci.pull`, see docs/rules.md.
    pub(crate) action: String,
    /// The path of the project asked for.
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) of: Of,
}

/// What jobs of a project can reach: every target and action, and who must have started the job.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope can apps/web dana --config envoy.yaml --world world.yaml

Exit codes: 0 it is told, also where they reach nothing, 2 it cannot be told, or not of every project.")]
pub(crate) struct Can {
    /// The path of the job's project.
    pub(crate) origin: String,
    /// Who started the job; `nobody` for an old trigger. Without it, each of those who start jobs there.
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) of: Of,
    /// Ask of these projects alone: `apps/web`, `apps/**`, or behind a `!` what is not meant. Without it, of all that the forge
    /// lists.
    #[arg(long, num_args = 1.., requires = "forge")]
    pub(crate) targets: Vec<String>,
    /// Of how many projects the forge is asked at most.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..), requires = "forge")]
    pub(crate) limit: u32,
    /// How many calls the forge gets in a second at most.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000), requires = "forge")]
    pub(crate) max_per_second: u32,
}

/// What another configuration changes: every origin, user, target and action of a world that ends otherwise.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope diff envoy.yaml new.yaml --world world.yaml

Exit codes: 0 nothing ends otherwise, 1 something does, 2 it cannot be told.")]
pub(crate) struct Diff {
    /// The configuration as it is.
    pub(crate) old: PathBuf,
    /// The configuration as it shall be.
    pub(crate) new: PathBuf,
    /// The world: users, groups, projects, allowlists, jobs. See docs/world.schema.json.
    #[arg(long)]
    pub(crate) world: PathBuf,
    /// Ask of every user, and of jobs behind which nobody stands; not only of those who start jobs in the origin, its
    /// developers and above.
    #[arg(long)]
    pub(crate) everybody: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Explain a decision that a log tells of: what was asked, what was known, every denial, who can do what.
///
/// A decision is named by its number, which the client got too. Its log is that of the demo which `make run` started in this
/// folder, unless `--log` or the environment variable `JOBSCOPE_LOG` names another.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope explain 212be24720491b45 --log access.log

Exit codes: 0 it is explained, 2 there is no such decision.")]
pub(crate) struct Explain {
    /// The number of the decision, or its line of the log. Without it, the first decision of the log, or of standard input.
    #[arg(value_name = "DECISION", conflicts_with = "decision")]
    pub(crate) asked: Option<String>,
    /// The number of the decision, as an option.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) decision: Option<String>,
    /// The log, or several; `-` for standard input.
    #[arg(long, num_args = 1..)]
    pub(crate) log: Vec<PathBuf>,
    /// Who reads it: what that reader can do is shown as a command, or as a piece of the configuration.
    #[arg(long = "for", value_enum, default_value_t = Reader::Author)]
    pub(crate) reader: Reader,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// For whom a decision is explained.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Reader {
    /// Who wrote the job.
    Author,
    /// Who maintains the target.
    Maintainer,
    /// Who runs the ingress.
    Platform,
}

/// Suggest the least that must be let in so that what a log tells of passes.
///
/// Each entry with how often it was needed, by whom, when first and when last. What was needed only once, or only at night
/// (from 22 to 6, by the log) and by one user, is set apart. No entry is suggested for what something else denies too. A group
/// that could be let in instead of several of its projects comes with its price: how many more it lets in.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope suggest --log access.log

Exit codes: 0 it is told, also where nothing lacks, 2 it cannot be told.")]
pub(crate) struct Suggest {
    /// The log, or several; `-` for standard input.
    #[arg(long, num_args = 1.., required = true)]
    pub(crate) log: Vec<PathBuf>,
    /// As what.
    #[arg(long = "as", value_enum, default_value_t = Way::Settings)]
    pub(crate) way: Way,
    /// A world: what a group's entry would let in is counted in it.
    #[arg(long)]
    pub(crate) world: Option<PathBuf>,
    /// Tell instead which entries of the world's allowlists nothing in the log needed.
    #[arg(long, requires = "world", conflicts_with = "way")]
    pub(crate) unused: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// In what way origins are let in.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Way {
    /// Entries of the targets' allowlists, with single permissions where these suffice: commands for the forge.
    Settings,
    /// Rules of the configuration: `access.allow`.
    Rules,
    /// A script that makes the entries of the settings with curl: `GITLAB_URL=... GITLAB_TOKEN=... sh admit.sh`. What is set
    /// apart stands in it as a comment.
    Curl,
    /// The same entries for Terraform's gitlab provider, which has no single permissions.
    Terraform,
}

/// Decide again on what a log tells, by another configuration: who is refused then, and what is let in.
///
/// Needs a log with an account of each decision (`log.allows: full`; denials always have one). What cannot be decided on
/// again is counted, with what helps. The requests are taken as they were read then: what is only read otherwise under
/// another `forge` section is not seen.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope replay --log access.log --config envoy.yaml --fail-on deny,allow

Exit codes: 0 nothing changes that `--fail-on` names, 1 something does, 2 it cannot be told.")]
pub(crate) struct Replay {
    /// The log, or several; `-` for standard input.
    #[arg(long, num_args = 1.., required = true)]
    pub(crate) log: Vec<PathBuf>,
    /// The configuration as it shall be.
    #[arg(long)]
    pub(crate) config: PathBuf,
    /// The configuration to compare with, instead of what the log says was decided.
    #[arg(long)]
    pub(crate) against: Option<PathBuf>,
    /// What `jobscope suggest --json` printed: as if its entries were made in the forge.
    #[arg(long)]
    pub(crate) suggested: Option<PathBuf>,
    /// What ends with 1.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "deny")]
    pub(crate) fail_on: Vec<FailOn>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is not hoped for.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Something is refused that goes on now.
    Deny,
    /// Something goes on that is refused now.
    Allow,
    /// Something cannot be decided on again.
    Unknown,
    /// Nothing.
    Never,
}

/// Check the filter's configuration, and what Envoy is told around it.
///
/// Every error and warning of the configuration with its line; where it stands in Envoy's own configuration, each row of
/// SECURITY.md's "What must be configured in Envoy", hosts that lead to the forge and are in no list among them.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope check envoy.yaml --world world.yaml

Exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 it cannot be told.")]
pub(crate) struct Check {
    /// The filter's configuration, or a file of Envoy's with one in it.
    pub(crate) config: PathBuf,
    /// A world: names of projects, groups and users that it does not have are warnings.
    #[arg(long, conflicts_with = "forge")]
    pub(crate) world: Option<PathBuf>,
    /// Ask the forge for these names instead.
    #[arg(long)]
    pub(crate) forge: bool,
    #[command(flatten)]
    pub(crate) reached: Reached,
    /// End with 1 for warnings, too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a forge that runs is reached.
#[derive(Args)]
pub(crate) struct Reached {
    /// Where the lookup service listens, such as `https://gitlab.example.com`. Without it, where the lookup cluster leads in
    /// the file of Envoy's.
    #[arg(long)]
    pub(crate) address: Option<String>,
    /// A file with the service account's token; `-` for standard input. Without it, the environment variable that
    /// `lookup.credential_env` names.
    #[arg(long)]
    pub(crate) token_file: Option<PathBuf>,
    /// A file with the certificates that are trusted, in PEM. Without it, those of the cluster, or else of the system.
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
}

/// What is said to who says how a forge is reached that is not asked.
pub(crate) const REACHED: &str = "`--address`, `--token-file` and `--ca` go with `--forge`";

impl Reached {
    /// Whether anything of it is said.
    pub(crate) fn is_given(&self) -> bool {
        self.address.is_some() || self.token_file.is_some() || self.ca.is_some()
    }
}

/// Ask the forge as the filter would, and tell what does not work: token, rights, clock, version, webhook.
///
/// Each lookup of the configuration is made once, about a token that nobody has and about private projects that the service
/// account sees. Nothing is changed, and the token is not printed. Each call is shown with its time.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope doctor envoy.yaml --token-file token

Exit codes: 0 nothing is wrong (warnings may be told), 1 something is, also when nobody answers, 2 it cannot be asked.")]
pub(crate) struct Doctor {
    /// The filter's configuration, or a file of Envoy's with one in it.
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) reached: Reached,
    /// The path of the project that is asked about. Without it, a private one that the service account sees.
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// The path of another project, from which a job may come. Without it, another private one.
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Decide on what a client would send: verdict, rule, the client's own answer, and what would turn it around.
///
/// Variables of a job (`$CI_JOB_TOKEN`, `$CI_API_V4_URL` and so on) are replaced, so that a line of `.gitlab-ci.yml` can be
/// asked as it stands; put it in single quotes, so that your shell leaves them alone.
#[derive(Args)]
#[command(after_help = "\
Example:
  jobscope decide envoy.yaml --world world.yaml --job 'apps/web@main as dana' -- \\
    git clone https://forge.example.com/libs/common.git

Exit codes: 0 it goes on, 1 it is denied, or would be if it were enforced, 2 it cannot be told.")]
#[command(group(ArgGroup::new("asked").required(true)))]
pub(crate) struct Decide {
    /// The filter's configuration, or a file of Envoy's with one in it.
    pub(crate) config: PathBuf,
    /// The world: users, groups, projects, allowlists, jobs. See docs/world.schema.json.
    #[arg(long, group = "asked")]
    pub(crate) world: Option<PathBuf>,
    /// Ask the forge instead, as the filter does.
    #[arg(long, group = "asked")]
    pub(crate) forge: bool,
    #[command(flatten)]
    pub(crate) reached: Reached,
    /// Which job asks: `PROJECT[@REF] as USER [in ENVIRONMENT] [by SOURCE] [of a fork]`, or the number of one of the
    /// world's. Without it, the job of the world whose token stands in the request; of a forge, the running one whose token
    /// is in the environment variable `CI_JOB_TOKEN`.
    #[arg(long)]
    pub(crate) job: Option<String>,
    /// A file with a request as it stands on the wire; `-` for standard input.
    #[arg(long, conflicts_with = "line")]
    pub(crate) request: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// The client's command: `curl`, `git`, `git lfs`, `docker` or `podman`.
    #[arg(last = true, required_unless_present = "request")]
    pub(crate) line: Vec<String>,
}
