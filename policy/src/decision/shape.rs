//! What stands in the account of a decision, for who reads logs.

/// The fields of a decision in the access log, each the property `jobscope_...` of its request, and what it says. `-` stands
/// for what there is none of.
pub const FIELDS: &[(&str, &str)] = &[
    ("job", "The number of the job."),
    ("user", "The name of its user."),
    ("origin", "The path of its project."),
    (
        "target",
        "The path of the target; as the request names it where it was not looked up: `#` and a number, `group ...`, `job #...`.",
    ),
    ("action", "What is asked: of several things the weightiest that is denied, or else of all."),
    ("verdict", "`allow`, `deny`, or `observe-deny` for what goes on and would be denied."),
    ("reason", "The reason's code."),
    ("rule", "The rule that decided, and behind a colon that of the configuration; of several that deny the first."),
    ("decision", "The number of the decision, which the client gets too."),
    ("why", "The account of the decision, in JSON: of every denial, and with `log.allows: full` of every decision."),
];

/// Which shape this is. Another member leaves it as it is; a member that goes, or means something else, makes it another.
pub(super) const SHAPE_VERSION: u32 = 1;

/// Every member, as a path, and what it means. `[]` stands for each of a list, `*` for each fact. What is not known, or
/// does not apply, is left out.
pub const SHAPE: &[(&str, &str)] = &[
    ("version", "Which shape this is: `1`."),
    ("filter", "The version of jobscope."),
    ("configuration", "Which configuration decided: the first 16 digits of its SHA-256, as the filter got it."),
    ("mode", "`enforce` or `observe`."),
    (
        "protocol",
        "In whose words a denial is answered: `git`, `lfs`, `registry`, `registry-token`, `api`, `trigger`, `runner`, `web`.",
    ),
    ("token", "What is known of the token."),
    (
        "token.state",
        "`running`, `ended`, `forgotten` (made from a job's token, and not remembered of which), or why it is no job's, in the words of [token lookups](token-lookup.md).",
    ),
    ("token.source", "`lookup`, or `end` where the job's end was seen."),
    ("token.age", "How many seconds ago that was."),
    ("job", "The job."),
    ("job.id", "Its number."),
    ("job.ref", "Its branch or tag."),
    ("job.protected", "Whether that is protected, where a rule of the configuration looks at it."),
    ("job.environment", "The environment that it deploys to, empty for none, where a rule looks at it."),
    ("job.source", "What started its pipeline, in the forge's words."),
    ("job.runner", "The number of the runner that got it."),
    (
        "job.credential",
        "`service` where Envoy adds the forge's own credential to what is granted; left out where the job's goes on.",
    ),
    ("job.fork", "Whether it works on a merge request from a fork, where a rule looks at it."),
    ("user", "The job's user."),
    ("user.id", "Its number."),
    ("user.name", "Its name."),
    (
        "user.on_behalf_of",
        "The number of the user for whom it works, where it is a service account with a composite identity.",
    ),
    ("origin", "The job's project."),
    ("origin.id", "Its number."),
    ("origin.path", "Its path."),
    (
        "asked",
        "What is asked, at most 16. The first is what the other fields of the log line are about, and has all members; the others have no `rules`.",
    ),
    ("asked[].action", "The action, as in [rules.md](rules.md#actions)."),
    ("asked[].named", "The target as the request names it: a path, `#` and a number, `group ...`, `job #...`."),
    ("asked[].id", "The number of the target's project."),
    ("asked[].path", "Its path."),
    (
        "asked[].hoped",
        "`true` where the client goes on without it, so that it denies nothing: a source that docker mounts from.",
    ),
    (
        "asked[].verdict",
        "`allow`, `deny` or `observe-deny`. Left out, with what follows, where the token or a fact that could not be had decided.",
    ),
    ("asked[].needs", "What the action needs."),
    ("asked[].needs.role", "The least role."),
    ("asked[].needs.part", "The part of the project that it uses."),
    ("asked[].needs.effect", "`read` or `write`."),
    ("asked[].needs.anonymous", "Whether whoever may see the target may do it."),
    ("asked[].needs.permissions", "The permissions that an entry with single ones must grant."),
    (
        "asked[].needs.permissions_when",
        "`always`; `strict` where they are asked for with `rules.permissions: strict` alone; `never` where such an entry never lets it pass.",
    ),
    ("asked[].facts", "What the rules knew of the target."),
    ("asked[].facts.role", "The role of the job's user in it."),
    ("asked[].facts.external", "Whether that is an external user."),
    ("asked[].facts.visibility", "`private`, `internal` or `public`."),
    ("asked[].facts.part", "How far the part that is used is open: `disabled`, `private` or `enabled`."),
    ("asked[].facts.public_jobs", "Whether its jobs are public."),
    ("asked[].facts.archived", "Whether it takes no changes."),
    ("asked[].facts.push", "Whose jobs push code to it: `off`, `own` or `admitted`."),
    ("asked[].facts.inbound", "Whether it admits the origin: `own`, `listed`, `open` or `unlisted`."),
    ("asked[].facts.outbound", "Whether the origin lets its jobs out to it: `open` or `unlisted`."),
    ("asked[].facts.*.is", "The fact. Left out where the forge is left to check it."),
    (
        "asked[].facts.*.source",
        "`lookup`, `configuration`, `forge` where that is left to check it, or `job` where the job tells by itself.",
    ),
    (
        "asked[].facts.*.age",
        "How many seconds ago it was looked up, where it was: the oldest of what is believed for the same time.",
    ),
    ("asked[].entry", "What admits the origin."),
    ("asked[].entry.names", "Whom the entry of the target's allowlist names: `project` or `group`."),
    ("asked[].entry.permissions", "The single permissions that it grants, where it does not grant all."),
    ("asked[].entry.rule", "The rule of the configuration that lets the origin in."),
    (
        "asked[].rules",
        "The rules that were tried, in their order, also those behind a denial: up to the first that allows.",
    ),
    ("asked[].rules[].rule", "The rule."),
    (
        "asked[].rules[].answer",
        "`aside` where it does not apply, `left` where it leaves a fact to the forge, `allow` or `deny`.",
    ),
    ("asked[].rules[].reason", "The reason's code, where it allows or denies."),
    ("asked[].rules[].says", "The same in a sentence."),
    (
        "asked[].denials",
        "Every rule that denies, or would: who has the first lifted meets the next. At most 32 in all.",
    ),
    ("asked[].denials[].rule", "The rule."),
    ("asked[].denials[].configured", "The rule of the configuration behind it."),
    ("asked[].denials[].reason", "The reason's code."),
    ("asked[].denials[].mode", "`enforce`, or `observe` where it is only recorded."),
    ("more", "How many more things are asked."),
    (
        "evidence",
        "What [`jobscope replay`](command.md#replay) decides from again: the request as it was read, and the facts as they were looked up. Its form may change with each version. Left out where more than 16 things are asked, where the request cannot be read, or where the account would be longer than 32 KiB.",
    ),
];
