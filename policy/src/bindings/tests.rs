use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::facts::{
    Admission, Affiliation, Context, Entry, Features, Found, Grants, Hash, Invalid, Job, JobId, JobPush, Link, Origin,
    Outbound, Permission, Permissions, ProjectId, ProjectPath, Role, Standing, Target, User, UserId, Visibility,
};

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
    }
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
    let bucket = filled([running(1, 10), ended(1, 20), running(1, 30)].into_iter());
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
        };
    }
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
        let row = TargetRow { key: key(1), found, confirmed: Moment(5) };
        assert_eq!(find::<TargetRow>(&put(&[], row.clone()).unwrap(), &key(1)), Some(row));
    }
}

#[test]
fn the_newer_of_two_answers_stands_whichever_came_last() {
    let row = |confirmed| TargetRow { key: key(1), found: Found::Nothing, confirmed: Moment(confirmed) };
    let bucket = put(&put(&[], row(20)).unwrap(), row(10)).unwrap();
    assert_eq!(find::<TargetRow>(&bucket, &key(1)), Some(row(20)));
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
    let config = crate::Config::parse(
        br#"{"forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#,
    )
    .unwrap()
    .bindings;
    let at = |seconds: u64| freshness(&config, Moment(1_000), Moment(1_000 + seconds * 1000));
    assert_eq!(
        [at(0), at(29), at(30), at(299), at(300)],
        [Freshness::Fresh, Freshness::Fresh, Freshness::Stale, Freshness::Stale, Freshness::Gone]
    );
    assert_eq!(freshness(&config, Moment(5_000), Moment(0)), Freshness::Fresh, "a clock that went back");
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
    }

    #[test]
    fn running_jobs_up_to_the_capacity_fit(seed in any::<u64>()) {
        let table = Table::for_rows(4096);
        let mut filled = std::vec![0_usize; table.buckets() as usize];
        for number in 0..4096_u64 {
            filled[table.bucket(&key(seed.wrapping_add(number))) as usize] += 1;
        }
        prop_assert!(filled.iter().filter(|rows| **rows > BUCKET_ROWS).count() <= 1);
    }
}
