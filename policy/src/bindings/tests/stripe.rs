//! What bears a decision out that was made before, and until when.

use super::minted::{lasting, minted};
use super::*;
use crate::bindings::{self, Stripe, Stripes};

fn revoked<R: Row>(old: &[u8], new: &[u8]) -> bool {
    bindings::revoked::<R>(old, new, &config(), Moment(60)) != Stripes::NONE
}

fn of(number: u64) -> Stripes {
    Stripes::of(&key(number), config().capacity)
}

fn standing(role: Role) -> Found {
    Found::Standing(Standing {
        role: Some(role),
        affiliation: Affiliation::Internal,
        admission: Admission::Open,
        outbound: Outbound::Open,
        target: Target {
            id: Some(ProjectId(102)),
            path: ProjectPath::parse("libs/common"),
            visibility: Some(Visibility::Private),
            features: Features::OPEN,
            job_push: JobPush::Off,
            public_jobs: true,
            archived: false,
        },
    })
}

#[test]
fn a_binding_bears_out_what_was_decided_where_it_was_confirmed_again_and_nothing_else() {
    let before = put(&[], running(1, 50)).unwrap();
    let after = |row| put(&before, row).unwrap();
    assert!(!revoked::<Binding>(&before, &before));
    assert!(!revoked::<Binding>(&before, &after(running(1, 60))), "it was confirmed");
    assert!(!revoked::<Binding>(&before, &after(running(2, 60))), "another job came");
    assert!(!revoked::<Binding>(&before, &after(ended(2, 60))), "another job ended");
    let aged = bindings::age(&before, &config(), Moment(60)).unwrap();
    let bounded = born(1, 60);
    let bounded = Binding { until: Some(Moment(1_000)), ..bounded };
    let Binding { state: State::Running(job), .. } = running(1, 60) else { panic!() };
    let renamed = Job { user: Some(User { id: UserId(11), name: "dan".into() }), ..job };
    for (what, new) in [
        ("it ended", after(ended(1, 60))),
        ("it is in doubt", bindings::doubt(&before, &key(1)).unwrap()),
        ("it was aged", aged),
        ("it has a bound", after(bounded)),
        ("another configuration asked", after(Binding { mark: Mark(8), ..running(1, 60) })),
        ("its user has another name", after(Binding { state: State::Running(renamed), ..running(1, 60) })),
        ("the clock was set back", after(running(1, 40))),
        ("it was pushed out", Vec::new()),
    ] {
        let is_read = find::<Binding>(&new, &key(1)) != find::<Binding>(&before, &key(1));
        assert_eq!(revoked::<Binding>(&before, &new), is_read, "{what}");
    }
    assert_eq!(bindings::revoked::<Binding>(&before, &[], &config(), Moment(60)), of(1), "that of its token");
    assert!(!revoked::<Binding>(&put(&[], ended(1, 50)).unwrap(), &[]), "nothing is decided from an end for long");
}

#[test]
fn who_pushes_another_out_has_the_same_version() {
    let capacity = 256;
    let table = Table::of::<Binding>(capacity);
    for number in 0..2_000 {
        let (one, other) = (key(number), key(number * 7 + 1));
        if table.bucket(&one) == table.bucket(&other) {
            assert_eq!(Stripe::of(&one, capacity), Stripe::of(&other, capacity));
        }
        assert!(Stripe::all().any(|stripe| stripe == Stripe::of(&one, capacity)));
    }
    assert!(Stripe::all().enumerate().all(|(at, stripe)| stripe.place() == at));
    assert!(Stripes::ALL.each().eq(Stripe::all()) && Stripes::NONE.each().next().is_none());
    assert!(of(3).each().eq([Stripe::of(&key(3), config().capacity)]));
}

#[test]
fn what_was_minted_bears_out_what_was_decided_where_it_is_good_for_longer_and_nothing_else() {
    let before = put(&[], lasting(1, 7, 100)).unwrap();
    let revoked = |new: &[u8], now| bindings::revoked::<Minted>(&before, new, &config(), Moment(now));
    let after = |row| put(&before, row).unwrap();
    for (what, new, is_revoked) in [
        ("it is as it was", before.clone(), false),
        ("it is good for longer", after(lasting(1, 7, 200)), false),
        ("it is seen again", after(minted(1, None, 200)), false),
        ("another came", after(lasting(2, 8, 200)), false),
        ("it is good for less", after(lasting(1, 7, 99)), true),
        ("it is another job's", after(lasting(1, 8, 200)), true),
        ("it was pushed out", Vec::new(), true),
    ] {
        assert_eq!(revoked(&new, 60), if is_revoked { of(7) } else { Stripes::NONE }, "{what}");
    }
    assert_eq!(revoked(&[], 100), of(7), "on another worker it may not be over");
    assert_eq!(revoked(&[], Moment(100).after(SKEW).0), Stripes::NONE, "no decision is kept that rests on it");
    let persons = put(&[], minted(1, None, 100)).unwrap();
    assert_eq!(bindings::revoked::<Minted>(&persons, &[], &config(), Moment(60)), Stripes::NONE);
}

#[test]
fn a_target_bears_out_what_was_decided_where_it_was_confirmed_again_and_nothing_else() {
    let row = |found, members| {
        let confirmed = Confirmed { members: Moment(members), ..Confirmed::at(Moment(50)) };
        put(&[], TargetRow { key: key(1), found, confirmed }).unwrap()
    };
    let before = row(standing(Role::Developer), 50);
    assert!(!revoked::<TargetRow>(&before, &row(standing(Role::Developer), 60)));
    assert!(revoked::<TargetRow>(&before, &row(standing(Role::Developer), 40)));
    assert!(revoked::<TargetRow>(&before, &row(standing(Role::Reporter), 60)));
    assert!(revoked::<TargetRow>(&before, &row(Found::Nothing, 60)));
    assert!(revoked::<TargetRow>(&before, &[]));
    let stale = config().max_stale;
    let pushed_out = |now| bindings::revoked::<TargetRow>(&before, &[], &config(), now);
    assert_eq!(pushed_out(Moment(50).after(stale)), Stripes::ALL);
    assert_eq!(pushed_out(Moment(50).after(stale).after(SKEW)), Stripes::NONE, "no decision rests on it any longer");
    assert_eq!(pushed_out(Moment(0)), Stripes::ALL, "the clock was set back");
    assert!(!revoked::<TargetRow>(&row(Found::Nothing, 50), &[]));
}

proptest! {
    /// At the moment itself it is another, so that what is kept until then is not kept too short either.
    #[test]
    fn a_binding_tells_the_same_until_it_is_said_to(
        since in 0u64..50_000, confirmed in 0u64..100_000, bound in proptest::option::of(0u64..200_000),
        fresh in 1u64..60, stale in 60u64..120, lifetime in 1u64..300, now in 0u64..300_000,
    ) {
        let config = crate::config::Bindings {
            revalidate_after: Duration::from_secs(fresh),
            max_stale: Duration::from_secs(stale),
            max_lifetime: Duration::from_secs(lifetime),
            ..config()
        };
        let binding = Binding { since: Moment(since), until: bound.map(Moment), ..running(1, confirmed) };
        let serves = |now| matches!(
            binding.clone().tells(&config, MARK, now),
            Remembered::New(Token::Running(_)) | Remembered::Fresh(Token::Running(_))
        );
        let (made, until) = (Moment(since.max(confirmed)), binding.holds_until(&config));
        if serves(made) && made <= Moment(now) {
            prop_assert_eq!(serves(Moment(now)), Moment(now) < until);
        }
    }

    #[test]
    fn a_target_serves_until_it_is_said_to(
        projects in 0u64..100_000, members in 0u64..100_000, allowlists in 0u64..100_000,
        lasts in proptest::array::uniform3(1u64..60), stale in 1u64..120, now in 100_000u64..300_000,
    ) {
        let [of_projects, of_members, of_allowlists] = lasts.map(Duration::from_secs);
        let lifetimes = crate::config::Lifetimes {
            projects: of_projects, members: of_members, allowlists: of_allowlists, max_stale: Duration::from_secs(stale),
        };
        let confirmed = Confirmed {
            projects: Moment(projects), members: Moment(members), allowlists: Moment(allowlists),
        };
        let serves = lifetimes.of_all(&confirmed, Moment(now)) <= Freshness::Fresh;
        prop_assert_eq!(serves, Moment(now) < lifetimes.comes_due(&confirmed));
    }
}
