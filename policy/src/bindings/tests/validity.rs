//! Rows of another layout, of another configuration, and of another time.

use super::minted::{lasting, minted};
use super::*;
use crate::bindings;

#[test]
fn rows_that_are_written_in_another_way_have_another_layout() {
    let target = Target {
        id: Some(ProjectId(102)),
        path: ProjectPath::parse("libs/common"),
        visibility: Some(Visibility::Internal),
        features: Features(core::array::from_fn(|at| [Level::Disabled, Level::Members, Level::Enabled][at % 3])),
        job_push: JobPush::Admitted,
        public_jobs: true,
        archived: false,
    };
    let grants = Grants::Only(Permissions::of(&[Permission::ReadJobs, Permission::AdminPackages]));
    let entry = Entry { link: Link::Group, grants };
    let found = Found::Standing(Standing {
        role: Some(Role::Planner),
        affiliation: Affiliation::External,
        admission: Admission::Listed(entry),
        outbound: Outbound::Unlisted,
        target: target.clone(),
    });
    let confirmed = Confirmed { projects: Moment(1), members: Moment(2), allowlists: Moment(3) };
    let part = |known| PartRow { key: key(1), known, confirmed: Moment(5) };
    let parts = [
        Known::Member(Role::Planner),
        Known::External(true),
        Known::Allowlist { is_limited: true, entry: Some(entry) },
        Known::Enforcement(true),
        Known::Outbound(true),
    ];
    let State::Running(mut job) = running(5, 10).state else { panic!() };
    (job.context.credential, job.context.until) = (Credential::Service, Some(9));
    let swapped = Binding::running(key(5), job, Moment(10), MARK);
    let bounded = Binding { until: Some(Moment(9)), ..running(4, 10) };
    let bindings = [running(1, 10), born(2, 20), ended(3, 30), bounded, swapped];
    let rows = [
        TargetRow { key: key(1), found, confirmed }.bytes(),
        ProjectRow { key: key(1), project: Some(target), confirmed: Moment(4) }.bytes(),
        Rejection { key: key(1), invalid: Invalid::Foreign, confirmed: Moment(6) }.bytes(),
        Missing { key: key(1), confirmed: Moment(6) }.bytes(),
        lasting(1, 2, 7).bytes(),
        minted(1, None, 7).bytes(),
        put(&[], JobRow::named(job_key(1), key(2), Moment(8))),
        Dependencies::of(job_key(1), &[JobId(501), JobId(502)], Moment(11)).bytes(),
        Follower::next(None, 9, Moment(10)).unwrap().write(),
        Learned::told(Version(18, 8), Moment(12)).write(),
    ];
    let rows = rows.into_iter().chain(bindings.iter().map(Row::bytes)).chain(parts.map(|known| part(known).bytes()));
    let written = Hash::of(&[&rows.flat_map(|row| row.unwrap()).collect::<Vec<u8>>()]);
    let short = |hash: Hash| hash.0[..6].iter().map(|byte| std::format!("{byte:02x}")).collect::<std::string::String>();
    let golden = ("14".into(), "2d116d334dc7".into(), "8c1689f43678".into());
    assert_eq!(
        (std::string::String::from(LAYOUT), short(written), short(layout(64))),
        golden,
        "where rows are written in another way, `LAYOUT` is another; a list in another order is another layout by itself"
    );
    assert_ne!(layout(64), layout(128), "tables of another size are other tables");
}

#[test]
fn facts_of_another_configuration_are_not_found_and_ends_are() {
    let others = [
        r#", "access": {"deny": [{"id": "r", "when": {"protected": true}}]}"#,
        r#", "access": {"deny": [{"id": "r", "when": {"environment": ["live"]}}]}"#,
        r#", "access": {"deny": [{"id": "r", "when": {"fork": true}}]}"#,
        r#", "facts": {"outbound": "lookup"}"#,
    ]
    .map(inquiry);
    let here = inquiry("");
    for other in others {
        assert_ne!(here.fact(&key(1)), other.fact(&key(1)));
        assert_ne!(here.mark(), other.mark());
        assert_eq!(here.job(&key(1)), other.job(&key(1)), "a job's end is its forge's");
        let bucket = put(&[], Binding { mark: here.mark(), ..running(1, 10) }).unwrap();
        let known = find::<Binding>(&bucket, &key(1)).unwrap();
        assert_eq!(known.clone().tells(&config(), other.mark(), Moment(20)), Remembered::Announced);
        assert_eq!(known.denied(Moment(20), other.mark()), Denial::Nothing, "somebody else knew it");
        let bucket = put(&bucket, ended(1, 20)).unwrap();
        let known = find::<Binding>(&bucket, &key(1)).unwrap();
        assert!(matches!(known.tells(&config(), other.mark(), Moment(20)), Remembered::New(Token::Ended(Some(_)))));
    }
    assert_eq!(here.mark(), inquiry(r#", "mode": "observe", "bindings": {"max_stale": "10m"}"#).mark());
}

#[test]
fn a_doubted_binding_is_looked_up_before_it_serves_again_and_nothing_else_changes() {
    let now = Moment(900_000);
    let rows = [running(1, 899_000), running(2, 899_000), ended(3, 899_000), born(4, 899_000)];
    let bucket =
        rows.iter().fold(Vec::new(), |bucket, row| bindings::put(&bucket, row.clone(), &config(), now).unwrap());
    let doubted = doubt(&bucket, &key(1)).unwrap();
    let tells = |bucket: &[u8], number| {
        bindings::find::<Binding>(bucket, &key(number), now).unwrap().tells(&config(), MARK, now)
    };
    assert_eq!(tells(&doubted, 1), Remembered::Announced);
    assert!((2..=4).all(|number| tells(&doubted, number) == tells(&bucket, number)));
    for other in [3, 4, 5] {
        assert_eq!(doubt(&bucket, &key(other)), None, "{other}");
    }
    let earlier = now.before(config().max_stale);
    let seen = bindings::find::<Binding>(&doubted, &key(1), earlier).unwrap();
    assert_eq!(seen.tells(&config(), MARK, earlier), Remembered::Announced, "the clock was set back");
    let confirmed = bindings::put(&doubted, running(1, 900_000), &config(), now).unwrap();
    assert!(matches!(tells(&confirmed, 1), Remembered::New(Token::Running(_))));
}

proptest! {
    /// Rows of every table, written at one moment and seen at another, to which the clock may have been set back.
    #[test]
    fn what_lies_ahead_serves_nothing_and_an_end_stays_an_end(
        written in 1_000_000_000_u64..2_000_000_000,
        step in -400_000_000_i64..400_000_000,
        hours in 0_u64..48,
    ) {
        let (then, now) = (Moment(written), Moment(written.saturating_add_signed(step)));
        let is_ahead = then > now.after(Duration::from_secs(1));
        let lifetimes = crate::Config::parse(
            br#"{"forge": {"hosts": ["h"]}, "lookup": {"cluster": "c", "authority": "h", "credential_env": "E"}}"#,
        ).unwrap().lifetimes;
        let config = config();

        let bucket = bindings::put(&[], running(1, written), &config, then).unwrap();
        let told = bindings::find::<Binding>(&bucket, &key(1), now).unwrap().tells(&config, MARK, now);
        prop_assert!(!is_ahead || told == Remembered::Announced, "{told:?}");
        let seen = bindings::find::<Binding>(&bucket, &key(1), now).unwrap();
        prop_assert!(!is_ahead || matches!(seen.denied(now, MARK), Denial::Ends(_)), "the forge's no counts");
        // A lookup confirms it, and counts from now on.
        let again = bindings::put(&bucket, running(1, now.0), &config, now).unwrap();
        let again = bindings::find::<Binding>(&again, &key(1), now).unwrap();
        prop_assert!(again.confirmed == now && again.since <= now.after(Duration::from_secs(1)));

        let over = bindings::put(&bucket, ended(1, written), &config, then).unwrap();
        for bucket in [over.clone(), bindings::put(&over, running(1, now.0), &config, now).unwrap()] {
            let told = bindings::find::<Binding>(&bucket, &key(1), now).unwrap().tells(&config, MARK, now);
            prop_assert!(matches!(told, Remembered::New(Token::Ended(_))), "{told:?}");
        }
        let timeout = Duration::from_secs(hours * 3600);
        let born = bindings::put(&[], Binding::born(key(1), JobId(1), ProjectId(1), Some(timeout), then), &config, then);
        let born = bindings::find::<Binding>(&born.unwrap(), &key(1), now).unwrap();
        let most = now.after(timeout.max(Duration::from_secs(60))).after(Duration::from_secs(301));
        prop_assert!(!is_ahead || born.until.unwrap() <= most, "its bound goes back with the clock");

        let row = bindings::put(&[], TargetRow { key: key(1), found: Found::Nothing, confirmed: Confirmed::at(then) }, &config, then);
        let row = bindings::find::<TargetRow>(&row.unwrap(), &key(1), now).unwrap();
        prop_assert!(!is_ahead || lifetimes.of_all(&row.confirmed, now) == Freshness::Gone);
        for (lifetime, part) in [(Lifetime::Members, Known::Member(Role::Owner)), (Lifetime::Allowlists, Known::Enforcement(true))] {
            let row = bindings::put(&[], PartRow { key: key(1), known: part, confirmed: then }, &config, then).unwrap();
            let row = bindings::find::<PartRow>(&row, &key(1), now).unwrap();
            prop_assert!(!is_ahead || lifetimes.of_part(lifetime, row.confirmed, now) == Freshness::Gone);
        }
        let row = bindings::put(&[], ProjectRow { key: key(1), project: None, confirmed: then }, &config, then).unwrap();
        let row = bindings::find::<ProjectRow>(&row, &key(1), now).unwrap();
        prop_assert!(!is_ahead || lifetimes.of_part(Lifetime::Projects, row.confirmed, now) == Freshness::Gone);
        for invalid in [Invalid::Unknown, Invalid::Foreign] {
            let row = bindings::put(&[], Rejection { key: key(1), invalid, confirmed: then }, &config, then).unwrap();
            prop_assert!(!is_ahead || !bindings::find::<Rejection>(&row, &key(1), now).unwrap().serves(now));
        }
        let row = bindings::put(&[], Missing { key: key(1), confirmed: then }, &config, then).unwrap();
        prop_assert!(!is_ahead || !bindings::find::<Missing>(&row, &key(1), now).unwrap().serves(now));
        let job = bindings::put(&[], JobRow::ended(job_key(1), then), &config, then).unwrap();
        let job = bindings::put(&job, JobRow::named(job_key(1), key(1), now), &config, now).unwrap();
        prop_assert_eq!(JobRow::place(bindings::find(&job, &job_key(1), now).as_ref(), &key(1)), Place::Ended);
        let row = bindings::put(&[], lasting(1, 2, written + 1), &config, then).unwrap();
        prop_assert_eq!(bindings::find::<Minted>(&row, &key(1), now).unwrap().parent, Some(key(2)));
    }

    #[test]
    fn a_deadline_has_come_in_its_time_whatever_the_clock_does(start in 1_000_000_u64.., within in 1_u64..60_000, step in -100_000_i64..100_000) {
        let start = start / 2;
        let deadline = Moment(start + within);
        let now = Moment(start.saturating_add_signed(step));
        let has_come = deadline.has_come(Duration::from_millis(within), now);
        prop_assert_eq!(has_come, step < 0 || step.unsigned_abs() >= within);
    }
}

#[test]
fn what_a_memory_may_tell_is_younger_than_what_is_due() {
    let of = |milliseconds| {
        let kept = Duration::from_millis(milliseconds);
        let bindings = Bindings { revalidate_after: kept, ..config() };
        let lifetimes = Lifetimes { projects: kept * 2, members: kept, allowlists: kept * 3, max_stale: kept * 4 };
        assert_eq!(bindings.max_age(), lifetimes.max_age(), "the shortest time counts");
        bindings.max_age().as_secs()
    };
    assert_eq!([1000, 1999, 2000, 30_000, 30_999].map(of), [0, 0, 1, 29, 29]);
    let longer = Bindings { revalidate_after: config().max_stale * 2, ..config() };
    assert!(longer.max_age() < config().max_stale, "what no longer serves is no answer");
}

#[test]
fn no_memory_tells_of_a_job_that_was_just_handed_out_or_is_in_doubt() {
    assert!(running(1, 10).takes_memory());
    assert!(!born(1, 10).takes_memory());
    let bucket = put(&[], running(1, 10)).unwrap();
    for bucket in [bindings::doubt(&bucket, &key(1)), bindings::age(&bucket, &config(), Moment(20))] {
        assert!(!find::<Binding>(&bucket.unwrap(), &key(1)).unwrap().takes_memory());
    }
    let late = bindings::find::<Binding>(&bucket, &key(1), Moment(500_000)).unwrap();
    assert!(late.takes_memory(), "what nobody has asked about for long is in no doubt");
}

#[test]
fn an_older_answer_takes_the_place_of_no_younger_one() {
    let rejection = |invalid, confirmed| Rejection { key: key(1), invalid, confirmed: Moment(confirmed) };
    let (old, new) = (rejection(Invalid::NotStarted, 10), rejection(Invalid::Unknown, 20));
    let missing = |confirmed| Missing { key: key(1), confirmed: Moment(confirmed) };
    for (first, second) in [(old.clone(), new.clone()), (new.clone(), old)] {
        let (at, then) = (Moment(30), [missing(first.confirmed.0), missing(second.confirmed.0)]);
        let bucket =
            [first, second].into_iter().fold(Vec::new(), |all, row| bindings::put(&all, row, &config(), at).unwrap());
        assert_eq!(bindings::find(&bucket, &key(1), at), Some(new.clone()));
        let bucket = then.into_iter().fold(Vec::new(), |all, row| bindings::put(&all, row, &config(), at).unwrap());
        assert_eq!(bindings::find(&bucket, &key(1), at), Some(missing(20)));
    }
}
