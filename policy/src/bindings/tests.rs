mod minted;
mod stripe;
mod validity;

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::facts::{
    Admission, Affiliation, Context, Credential, Entry, Features, Found, Grants, Hash, Invalid, Job, JobId, JobPush,
    Known, Level, Lifetime, Link, Origin, Outbound, Permission, Permissions, ProjectId, ProjectPath, Role, RunnerId,
    Standing, Target, Token, User, UserId, Version, Visibility,
};

pub(super) fn config() -> crate::config::Bindings {
    crate::Config::parse(
        br#"{"forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#,
    )
    .unwrap()
    .bindings
}

const MARK: Mark = Mark(7);

/// The row of a key while everything in the bucket still serves.
fn find<R: Row>(bucket: &[u8], key: &Hash) -> Option<R> {
    super::find(bucket, key, Moment(100_000_000))
}

/// The key of a job of the forge of [`config`].
fn job_key(number: u64) -> Hash {
    JobRow::key_of(&inquiry(""), JobId(number))
}

/// What lookups ask where the configuration has these keys more.
fn inquiry(more: &str) -> Inquiry {
    let config = std::format!(
        r#"{{"forge": {{"hosts": ["h"]}}, "lookup": {{"cluster": "c", "authority": "h", "credential_env": "E"}}{more}}}"#
    );
    Inquiry::of(&crate::Config::parse(config.as_bytes()).unwrap())
}

/// Puts a row while everything in the bucket still serves.
fn put<R: Row>(bucket: &[u8], row: R) -> Option<Vec<u8>> {
    super::put(bucket, row, &config(), Moment(100))
}

fn key(number: u64) -> Hash {
    Hash::of(&[&number.to_be_bytes()])
}

fn running(number: u64, confirmed: u64) -> Binding {
    let user = Some(User { id: UserId(11), name: "dana".into() });
    let origin = Origin { id: ProjectId(101), path: ProjectPath::parse("apps/web").unwrap() };
    Binding {
        key: key(number),
        state: State::Running(Job { id: JobId(number), user, origin, context: Context::default() }),
        since: Moment(confirmed),
        confirmed: Moment(confirmed),
        until: None,
        mark: MARK,
    }
}

fn born(number: u64, at: u64) -> Binding {
    Binding::born(key(number), JobId(number), ProjectId(101), Some(Duration::from_secs(3600)), Moment(at))
}

fn at(moment: u64) -> Confirmed {
    Confirmed::at(Moment(moment))
}

fn ended(number: u64, confirmed: u64) -> Binding {
    Binding { state: State::Ended(None), ..running(number, confirmed) }
}

fn filled(rows: impl Iterator<Item = Binding>) -> Vec<u8> {
    rows.fold(Vec::new(), |bucket, row| put(&bucket, row).unwrap_or(bucket))
}

#[test]
fn what_is_put_is_found() {
    let bucket = filled((0..3).map(|n| running(n, n)));
    assert_eq!(find::<Binding>(&bucket, &key(1)), Some(running(1, 1)));
    assert_eq!(find::<Binding>(&bucket, &key(9)), None);
}

#[test]
fn an_end_is_final() {
    let bucket = filled([running(1, 10), ended(1, 20), running(1, 30), born(1, 40)].into_iter());
    let binding = find::<Binding>(&bucket, &key(1)).unwrap();
    assert!(
        matches!(binding.state, State::Ended(Some(job)) if job.id == JobId(1)),
        "and whose it was is kept for the log"
    );
}

#[test]
fn the_age_of_a_binding_goes_on_when_it_is_confirmed() {
    let bucket = filled([running(1, 10), running(1, 50)].into_iter());
    let binding = find::<Binding>(&bucket, &key(1)).unwrap();
    assert_eq!((binding.since, binding.confirmed), (Moment(10), Moment(50)));
    // An answer that was long on its way does not make the confirmation older.
    let bucket = put(&bucket, running(1, 20)).unwrap();
    assert_eq!(find::<Binding>(&bucket, &key(1)).unwrap().confirmed, Moment(50));
}

#[test]
fn an_older_answer_about_a_job_that_lands_later_brings_back_nothing() {
    let of = |name: &str, confirmed| {
        let mut binding = running(1, confirmed);
        if let State::Running(job) = &mut binding.state {
            job.user = Some(User { id: UserId(11), name: name.into() });
        }
        binding
    };
    let (older, newer) = (of("dana", 20), of("dana-renamed", 50));
    for landed in [[older.clone(), newer.clone()], [newer.clone(), older]] {
        let binding = find::<Binding>(&filled(landed.into_iter()), &key(1)).unwrap();
        assert_eq!((binding.state, binding.confirmed), (newer.state.clone(), Moment(50)));
    }
}

#[test]
fn a_full_bucket_gives_up_ended_ones_first() {
    let full = filled((0..16).map(|n| if n == 7 { ended(n, 99) } else { running(n, n) }));
    let bucket = put(&full, running(20, 50)).unwrap();
    assert_eq!(bucket.len(), BUCKET_ROWS * Binding::SIZE);
    assert_eq!(find::<Binding>(&bucket, &key(7)), None);
    let bucket = put(&bucket, running(21, 50)).unwrap();
    assert_eq!(find::<Binding>(&bucket, &key(0)), None, "then the one confirmed longest ago");
    assert_eq!(put(&bucket, ended(22, 1)), None, "an end never pushes a running one out");
}

#[test]
fn running_ones_go_last_whatever_their_age() {
    let day = config().max_lifetime.as_millis() as u64;
    let now = Moment(3 * day);
    let over = Binding { since: Moment(day), ..running(3, now.0 - 20) };
    let timed_out = Binding { until: Some(now), ..running(4, now.0 - 10) };
    // In the order in which they go. What is over goes by its age, and so does what nobody has confirmed for long.
    let order = [ended(1, 10), running(2, 20), over, timed_out, ended(5, now.0 + 1)];
    let order = order.into_iter().chain([born(6, now.0 - 2), born(7, now.0 - 1)]);
    let order: Vec<Binding> = order.chain([running(8, now.0 - 2000), running(9, now.0 - 1000)]).collect();
    let mut bucket =
        order.iter().rev().fold(Vec::new(), |bucket, row| super::put(&bucket, row.clone(), &config(), now).unwrap());
    for number in 20..27 {
        bucket = super::put(&bucket, running(number, now.0), &config(), now).unwrap();
    }
    for (at, goes) in order.iter().enumerate() {
        bucket = super::put(&bucket, running(30 + at as u64, now.0), &config(), now).unwrap();
        assert_eq!(find::<Binding>(&bucket, &goes.key), None, "{goes:?}");
        let next = order.get(at + 1);
        assert!(next.is_none_or(|next| find::<Binding>(&bucket, &next.key).is_some()), "{next:?}");
    }
    assert_eq!(super::put(&bucket, born(50, now.0), &config(), now), None, "nothing but a running job takes its place");
}

#[test]
fn a_lookup_that_no_longer_knows_a_token_ends_it_unless_a_later_one_did() {
    let State::Running(job) = running(1, 30).state else { panic!("a running one") };
    assert_eq!(running(1, 30).denied(Moment(29), MARK), Denial::Outdated(job.clone()));
    assert_eq!(running(1, 30).denied(Moment(30), MARK), Denial::Ends(Some(job)));
    assert_eq!(ended(1, 30).denied(Moment(10), MARK), Denial::Ends(None));
}

#[test]
fn a_job_that_was_born_serves_nothing_before_a_lookup_named_it() {
    let bucket = put(&[], born(1, 10)).unwrap();
    let binding = find::<Binding>(&bucket, &key(1)).unwrap();
    assert_eq!(
        binding.clone().denied(Moment(20), MARK),
        Denial::Nothing,
        "not every database of the forge knows it yet"
    );
    assert_eq!(binding.tells(&config(), MARK, Moment(20)), Remembered::Announced);
    let bucket = put(&bucket, running(1, 30)).unwrap();
    let binding = find::<Binding>(&bucket, &key(1)).unwrap();
    assert_eq!((binding.since, binding.until), (Moment(10), born(1, 10).until), "it is as old as its birth");
    assert!(matches!(binding.clone().tells(&config(), MARK, Moment(40)), Remembered::New(Token::Running(_))));
    // Handed out again, it stays what it was.
    assert_eq!(find::<Binding>(&put(&bucket, born(1, 50)).unwrap(), &key(1)), Some(binding));
}

#[test]
fn a_binding_ends_with_the_jobs_own_timeout() {
    let at = |seconds: u64| Moment(seconds * 1000);
    let hour = Some(Duration::from_secs(3600));
    let born = |timeout| Binding::born(key(1), JobId(1), ProjectId(101), timeout, at(0));
    let fresh = |seconds: u64, timeout| {
        let bucket = put(&put(&[], born(timeout)).unwrap(), Binding { since: at(0), ..running(1, seconds * 1000) });
        find::<Binding>(&bucket.unwrap(), &key(1)).unwrap().tells(&config(), MARK, at(seconds))
    };
    assert!(matches!(fresh(3899, hour), Remembered::New(Token::Running(_))));
    assert!(matches!(fresh(3900, hour), Remembered::New(Token::Ended(Some(_)))));
    assert!(matches!(fresh(3900, None), Remembered::New(Token::Running(_))), "none is known");
    assert_eq!(born(hour).tells(&config(), MARK, at(3900)), Remembered::New(Token::Ended(None)));
    assert_eq!(born(Some(Duration::ZERO)).tells(&config(), MARK, at(359)), Remembered::Announced, "no job has less");
    assert_eq!(born(Some(Duration::MAX)).tells(&config(), MARK, at(24 * 3600)), Remembered::New(Token::Ended(None)));
}

#[test]
fn an_aged_binding_is_looked_up_before_it_serves_again() {
    let now = Moment(500_000);
    let rows = [running(1, 490_000), ended(2, 490_000), born(3, 490_000), running(4, 500_000), running(5, 100_000)];
    let bucket = filled(rows.iter().cloned());
    let aged = age(&bucket, &config(), now).unwrap();
    assert_eq!(aged.len(), bucket.len());
    let find = |bucket: &[u8], number| find::<Binding>(bucket, &key(number)).unwrap();
    assert_eq!(find(&aged, 1).tells(&config(), MARK, now), Remembered::Announced);
    for (number, row) in [(2, &rows[1]), (3, &rows[2]), (4, &rows[3]), (5, &rows[4])] {
        assert_eq!(&find(&aged, number), row, "it was confirmed later, or serves nothing");
    }
    let confirmed = put(&aged, running(1, 500_001)).unwrap();
    assert!(matches!(find(&confirmed, 1).tells(&config(), MARK, Moment(500_001)), Remembered::New(Token::Running(_))));
    assert_eq!(age(&aged, &config(), now), None, "nothing is left to age");
    assert_eq!(age(b"junk", &config(), now), None);
}

#[test]
fn a_job_has_a_few_tokens_and_an_end() {
    let named = |bucket: &[u8], token| put(bucket, JobRow::named(job_key(1), key(token), Moment(10))).unwrap();
    let found = |bucket: &[u8]| find::<JobRow>(bucket, &job_key(1));
    let bucket = (1..=9).chain([1]).fold(Vec::new(), |bucket, token| named(&bucket, token));
    let row = found(&bucket);
    assert!((1..=8).all(|token| JobRow::place(row.as_ref(), &key(token)) == Place::Found));
    assert_eq!(JobRow::place(row.as_ref(), &key(9)), Place::None, "one too many is nobody's");
    assert_eq!(JobRow::place(None, &key(1)), Place::None);
    let bucket = named(&put(&bucket, JobRow::ended(job_key(1), Moment(20))).unwrap(), 1);
    let row = found(&bucket).unwrap();
    assert_eq!(JobRow::place(Some(&row), &key(1)), Place::Ended);
    assert_eq!(row.into_tokens(), (1..=8).map(key).collect::<Vec<_>>());
}

#[test]
fn jobs_that_are_over_are_the_first_to_be_forgotten_by_number() {
    let row = |number: u64, at| JobRow::named(job_key(number), key(number), Moment(at));
    let full = (0..15).fold(Vec::new(), |bucket, n| put(&bucket, row(n, n)).unwrap());
    let full = put(&full, JobRow::ended(job_key(99), Moment(99))).unwrap();
    let bucket = put(&full, row(20, 50)).unwrap();
    assert_eq!(find::<JobRow>(&bucket, &job_key(99)), None);
    assert_eq!(put(&bucket, JobRow::ended(job_key(98), Moment(99))), None, "an end of nobody's takes no job's place");
    let bucket = put(&bucket, row(21, 50)).unwrap();
    assert_eq!(find::<JobRow>(&bucket, &job_key(0)), None, "then the oldest");
}

#[test]
fn of_two_bounds_the_earlier_holds() {
    let bound = |until| Binding { until, ..running(1, 10) };
    for (first, then) in [(Some(20), Some(30)), (Some(30), Some(20)), (None, Some(20)), (Some(20), None)] {
        let bucket = filled([bound(first.map(Moment)), bound(then.map(Moment))].into_iter());
        assert_eq!(find::<Binding>(&bucket, &key(1)).unwrap().until, Some(Moment(20)));
    }
}

#[test]
fn a_token_is_nobodys_from_the_moment_on_that_the_lookup_named() {
    let State::Running(mut job) = running(1, 1).state else { panic!() };
    job.context.until = Some(20);
    let (last, over) = (Moment(19_999), Moment(20_000));
    let binding = Binding::running(key(1), job.clone(), Moment(19_000), MARK);
    assert_eq!(binding.clone().tells(&config(), MARK, last), Remembered::New(Token::Running(job.clone())));
    assert_eq!(binding.clone().tells(&config(), MARK, over), Remembered::New(Token::Ended(Some(job.clone()))));
    assert_eq!(binding.holds_until(&config()), over, "nor is what was decided by it");
    assert_eq!(Binding::holds(Some(binding.clone()), job.clone(), last), Ok(Token::Running(job.clone())));
    for known in [None, Some(binding)] {
        assert_eq!(Binding::holds(known, job.clone(), over), Ok(Token::Ended(Some(job.clone()))), "it came too late");
    }
}

#[test]
fn what_the_lookup_named_stays_where_the_clock_is_set_back() {
    let State::Running(mut job) = running(1, 1).state else { panic!() };
    job.context.until = Some(9000);
    let (ahead, now) = (Moment(8_000_000), Moment(4_000_000));
    let bucket = super::put(&[], Binding::running(key(1), job.clone(), ahead, MARK), &config(), ahead).unwrap();
    let bucket = super::put(&bucket, Binding::running(key(1), job, now, MARK), &config(), now).unwrap();
    let binding: Binding = super::find(&bucket, &key(1), now).unwrap();
    assert_eq!((binding.since, binding.until), (now, Some(Moment(9_000_000))));
}

#[test]
fn a_token_is_one_jobs_and_a_lookup_that_names_another_changes_nothing() {
    let other = Binding { key: key(1), ..running(2, 50) };
    let elsewhere = Binding { key: key(1), ..born(1, 50) };
    let elsewhere = Binding { state: State::Born { job: JobId(1), origin: ProjectId(999) }, ..elsewhere };
    for known in [running(1, 10), born(1, 10)] {
        for wrong in [&other, &elsewhere] {
            let bucket = filled([known.clone(), wrong.clone()].into_iter());
            assert_eq!(find::<Binding>(&bucket, &key(1)), Some(known.clone()));
        }
        let State::Running(job) = other.state.clone() else { panic!() };
        assert_eq!(Binding::holds(Some(known.clone()), job, Moment(10)), Err(crate::failure::Failure::LookupAnswer));
    }
    let State::Running(job) = running(1, 1).state else { panic!() };
    assert_eq!(Binding::holds(Some(born(1, 10)), job.clone(), Moment(10)), Ok(Token::Running(job.clone())));
    assert_eq!(Binding::holds(None, job.clone(), Moment(10)), Ok(Token::Running(job.clone())), "it found no room");
    assert_eq!(Binding::holds(Some(ended(1, 10)), job, Moment(10)), Ok(Token::Ended(None)));
}

#[test]
fn a_name_that_does_not_fit_is_not_remembered() {
    let mut long = running(1, 1);
    if let State::Running(job) = &mut long.state {
        job.user = Some(User { id: UserId(1), name: "x".repeat(300) });
    }
    assert_eq!(put(&[], long), None);
}

#[test]
fn the_longest_that_lookups_give_fits() {
    let path = std::format!("{}/{}", "g".repeat(127), "p".repeat(127));
    let mut long = running(1, 1);
    if let State::Running(job) = &mut long.state {
        job.origin.path = ProjectPath::parse(&path).unwrap();
        job.user = Some(User { id: UserId(1), name: "x".repeat(128) });
        job.context = Context {
            git_ref: Some("r".repeat(255)),
            protected: Some(false),
            environment: Some("e".repeat(64)),
            source: Some("s".repeat(32)),
            fork: Some(true),
            on_behalf_of: Some(UserId(u64::MAX)),
            runner: Some(RunnerId(u64::MAX)),
            credential: Credential::Service,
            until: Some(u64::MAX),
        };
    }
    long.until = Some(Moment(u64::MAX));
    let bucket = put(&[], long.clone()).unwrap();
    assert_eq!(find::<Binding>(&bucket, &key(1)), Some(long.clone()));
    // One byte more is not kept, and a rule that looks at it takes it for unknown.
    if let State::Running(job) = &mut long.state {
        job.context.git_ref = Some("r".repeat(256));
    }
    let kept = find::<Binding>(&put(&[], long).unwrap(), &key(1)).unwrap();
    assert!(
        matches!(kept.state, State::Running(job) if job.context.git_ref.is_none() && job.context.fork == Some(true))
    );
}

#[test]
fn a_target_keeps_all_that_the_rules_look_at() {
    let target = Target {
        id: Some(ProjectId(102)),
        path: ProjectPath::parse("libs/common"),
        visibility: Some(Visibility::Internal),
        features: Features::OPEN,
        job_push: JobPush::Admitted,
        public_jobs: true,
        archived: true,
    };
    let some = Permissions::of(&[Permission::ReadJobs, Permission::AdminPackages]);
    let entries = [Link::Project, Link::Group].into_iter().flat_map(|link| {
        [Grants::Default, Grants::Only(some), Grants::Only(Permissions::default())]
            .map(|grants| Admission::Listed(Entry { link, grants }))
    });
    let plain = [Admission::Own, Admission::Open, Admission::Unlisted, Admission::LeftToForge];
    let known = entries.chain(plain).map(|admission| {
        Found::Standing(Standing {
            role: Some(Role::Planner),
            affiliation: Affiliation::External,
            admission,
            outbound: Outbound::Unlisted,
            target: target.clone(),
        })
    });
    let left = Found::Standing(Standing {
        role: None,
        affiliation: Affiliation::LeftToForge,
        admission: Admission::LeftToForge,
        outbound: Outbound::Open,
        target: Target { visibility: None, ..target.clone() },
    });
    for found in known.chain([Found::Nothing, left]) {
        let row = TargetRow { key: key(1), found, confirmed: at(5) };
        assert_eq!(find::<TargetRow>(&put(&[], row.clone()).unwrap(), &key(1)), Some(row));
    }
}

#[test]
fn a_part_keeps_what_is_known_of_it() {
    let some = Permissions::of(&[Permission::ReadJobs]);
    let entries = [Grants::Default, Grants::Only(some)].map(|grants| Some(Entry { link: Link::Group, grants }));
    let listed = [None]
        .into_iter()
        .chain(entries)
        .flat_map(|entry| [true, false].map(|is_limited| Known::Allowlist { is_limited, entry }));
    let flags = [true, false]
        .into_iter()
        .flat_map(|flag| [Known::External(flag), Known::Enforcement(flag), Known::Outbound(flag)]);
    let roles = Role::ALL.into_iter().map(|(role, _, _)| Known::Member(role));
    for known in listed.chain(flags).chain(roles) {
        let row = PartRow { key: key(1), known, confirmed: Moment(5) };
        assert_eq!(find::<PartRow>(&put(&[], row.clone()).unwrap(), &key(1)), Some(row));
    }
    let path = std::format!("{}/{}", "g".repeat(127), "p".repeat(127));
    let target = Target {
        id: Some(ProjectId(u64::MAX)),
        path: ProjectPath::parse(&path),
        visibility: Some(Visibility::Private),
        features: Features::OPEN,
        job_push: JobPush::Own,
        public_jobs: true,
        archived: true,
    };
    for project in [None, Some(target)] {
        let row = ProjectRow { key: key(1), project, confirmed: Moment(5) };
        assert_eq!(find::<ProjectRow>(&put(&[], row.clone()).unwrap(), &key(1)), Some(row));
    }
}

#[test]
fn what_is_composed_serves_as_well_as_the_worst_of_its_parts() {
    let document = br#"{"forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"},
        "facts": {"projects_revalidate_after": "4m", "members_revalidate_after": "1m", "allowlists_revalidate_after": "5m"}}"#;
    let lifetimes = crate::Config::parse(document).unwrap().lifetimes;
    let composed = Confirmed { projects: Moment(0), members: Moment(180_000), allowlists: Moment(100_000) };
    let serves = |seconds: u64| lifetimes.of_all(&composed, Moment(seconds * 1000));
    assert_eq!(
        [serves(239), serves(240), serves(299), serves(300)],
        [Freshness::Fresh, Freshness::Stale, Freshness::Stale, Freshness::Gone]
    );
    assert_eq!(lifetimes.of_part(Lifetime::Allowlists, Moment(0), Moment(299_999)), Freshness::Fresh);
    assert_eq!(lifetimes.of_part(Lifetime::Allowlists, Moment(0), Moment(300_000)), Freshness::Gone);
    let older = Confirmed::at(Moment(50)).with(Lifetime::Members, Moment(20)).with(Lifetime::Projects, Moment(90));
    assert_eq!(older, Confirmed { projects: Moment(50), members: Moment(20), allowlists: Moment(50) });
}

#[test]
fn the_newer_of_two_answers_stands_whichever_came_last() {
    let row = |confirmed| TargetRow { key: key(1), found: Found::Nothing, confirmed: at(confirmed) };
    let bucket = put(&put(&[], row(20)).unwrap(), row(10)).unwrap();
    assert_eq!(find::<TargetRow>(&bucket, &key(1)), Some(row(20)));
}

#[test]
fn targets_that_are_not_there_push_out_none_that_is() {
    let target = Target {
        id: Some(ProjectId(102)),
        path: ProjectPath::parse("libs/common"),
        visibility: Some(Visibility::Internal),
        features: Features::OPEN,
        job_push: JobPush::Admitted,
        public_jobs: true,
        archived: true,
    };
    let found = Found::Standing(Standing {
        role: Some(Role::Developer),
        affiliation: Affiliation::Internal,
        admission: Admission::Own,
        outbound: Outbound::Open,
        target,
    });
    let there = |number| TargetRow { key: key(number), found: found.clone(), confirmed: at(number) };
    let nothing = |number| TargetRow { key: key(number), found: Found::Nothing, confirmed: at(number) };
    let full = |real: u64| (0..real).fold(Vec::new(), |bucket, number| put(&bucket, there(number)).unwrap());
    let bucket = (20..90).fold(full(15), |bucket, number| put(&bucket, nothing(number)).unwrap());
    assert!((0..15).all(|number| find::<TargetRow>(&bucket, &key(number)).is_some()));
    assert_eq!(put(&full(16), nothing(90)), None);
    // But what no longer serves makes room for it.
    let later = Moment(config().max_stale.as_millis() as u64 + 20);
    assert!(
        super::put(&full(16), TargetRow { confirmed: Confirmed::at(later), ..nothing(90) }, &config(), later).is_some()
    );
}

#[test]
fn a_no_is_believed_for_seconds() {
    let no = Rejection { key: key(1), invalid: Invalid::Unknown, confirmed: Moment(10_000) };
    assert!(no.serves(Moment(14_999)) && !no.serves(Moment(15_000)));
    let foreign = Rejection { invalid: Invalid::Foreign, ..no };
    assert!(foreign.serves(Moment(69_999)) && !foreign.serves(Moment(70_000)), "somebody's stays somebody's");
    let bucket = put(&[], foreign.clone()).unwrap();
    assert_eq!(find::<Rejection>(&bucket, &key(1)), Some(foreign));
}

#[test]
fn a_fact_grows_old_and_then_goes() {
    let config = config();
    let at = |seconds: u64| freshness(&config, Moment(1_000), Moment(1_000 + seconds * 1000));
    assert_eq!(
        [at(0), at(1), at(2), at(29), at(30), at(299), at(300)],
        [
            Freshness::New,
            Freshness::New,
            Freshness::Fresh,
            Freshness::Fresh,
            Freshness::Stale,
            Freshness::Stale,
            Freshness::Gone
        ]
    );
    assert_eq!(freshness(&config, Moment(5_000), Moment(4_000)), Freshness::New, "the clock of another worker");
    assert_eq!(freshness(&config, Moment(5_000), Moment(3_999)), Freshness::Gone, "a clock that went back");
}

proptest! {
    #[test]
    fn a_bucket_stays_bounded_and_no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..9000), number in any::<u64>()) {
        let bucket = put(&bytes, running(number, 1));
        let found = bucket.as_deref().and_then(|bucket| find::<Binding>(bucket, &key(number)));
        prop_assert!(bucket.is_none_or(|bucket| bucket.len() <= BUCKET_ROWS * Binding::SIZE));
        prop_assert!(found.is_none_or(|found| found.key == key(number)));
        let _ = find::<TargetRow>(&bytes, &key(number));
        let _ = find::<Rejection>(&bytes, &key(number));
        let _ = find::<Minted>(&bytes, &key(number));
        let _ = find::<JobRow>(&bytes, &key(number));
        let _ = Follower::read(&bytes);
        prop_assert!(age(&bytes, &config(), Moment(number)).is_none_or(|aged| aged.len() <= bytes.len()));
        let _ = find::<PartRow>(&bytes, &key(number));
        let _ = find::<ProjectRow>(&bytes, &key(number));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn running_jobs_up_to_the_capacity_fit(seed in any::<u64>()) {
        let (table, config, now) = (Table::of::<Binding>(4096), config(), Moment(100));
        let mut buckets = std::vec![Vec::new(); table.buckets() as usize];
        let keys: Vec<Hash> = (0..4096_u64).map(|number| key(seed.wrapping_add(number))).collect();
        for key in &keys {
            let bucket = &mut buckets[table.bucket(key) as usize];
            // Another job has ended there just now, and takes nobody's room.
            for row in [Binding { key: Hash::of(&[&key.0]), ..ended(1, 99) }, Binding { key: *key, ..running(1, 50) }] {
                *bucket = super::put(bucket, row, &config, now).unwrap_or_else(|| std::mem::take(bucket));
            }
        }
        let lost = keys.iter().filter(|key| {
            let found = find::<Binding>(&buckets[table.bucket(key) as usize], key);
            !matches!(found, Some(Binding { state: State::Running(_), .. }))
        });
        prop_assert!(lost.count() <= 1);
    }
}
