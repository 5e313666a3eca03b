//! What holds of every store: each test runs over `memory`, and over `redis` with a real Redis.

use std::sync::Arc;
use std::time::Duration;

use policy::bindings::Cursor;
use policy::facts::{
    Entry, Features, Grants, Hash, Invalid, JobId, JobPush, Known, Link, Part, Permission, Permissions, ProjectId,
    ProjectPath, Role, Target, Visibility,
};
use policy::lookup::PartKey;
use tokio::time::{sleep, timeout};

use super::memory::Memory;
use super::redis::server::Server;
use super::{Asked, Changes, Lease, Limits, Running, Store, StoreError, Ticket, TokenState};

const LONG: Duration = Duration::from_secs(300);

pub(super) fn limits() -> Limits {
    Limits { tokens: LONG, lease: Duration::from_millis(300), unknown_per_second: 1000 }
}

async fn over_each(limits: Limits, test: impl AsyncFn(Arc<dyn Store>)) {
    test(Arc::new(Memory::new(limits.clone(), 10_000))).await;
    let server = Server::start(&[]);
    test(server.store(limits)).await;
}

pub(super) fn key(name: &str) -> Hash {
    Hash::of(&[name.as_bytes()])
}

pub(super) fn running(job: u64) -> Running {
    Running { job: JobId(job), project: ProjectId(100 + job), answer: format!("{{\"job\":{job}}}") }
}

/// The lease, which must be ours.
pub(super) async fn ticket(store: &dyn Store, key: &Hash) -> Ticket {
    match store.ask_token(key, LONG).await.unwrap().lease {
        Lease::Yours(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Has the store know that a token's job runs.
pub(super) async fn run(store: &dyn Store, name: &str, job: u64) {
    let (key, running) = (key(name), running(job));
    let ticket = ticket(store, &key).await;
    assert_eq!(store.put_running(&key, &running, &ticket).await, Ok(TokenState::Running(running)));
    store.release(&key, &ticket).await.unwrap();
}

async fn known(store: &dyn Store, name: &str) -> Option<TokenState> {
    store.ask_token(&key(name), LONG).await.unwrap().known.map(|known| known.value)
}

async fn begin(store: &dyn Store) -> Cursor {
    match store.changes(None).await.unwrap() {
        Changes::Since(ended, cursor) if ended.is_empty() => cursor,
        other => panic!("{other:?}"),
    }
}

async fn since(store: &dyn Store, cursor: &Cursor) -> (Vec<u64>, Cursor) {
    match store.changes(Some(cursor)).await.unwrap() {
        Changes::Since(ended, cursor) => (ended.into_iter().map(|job| job.0).collect(), cursor),
        Changes::Lost => panic!("lost"),
    }
}

#[tokio::test]
async fn one_asks_the_forge_and_the_others_find_what_it_learned() {
    over_each(limits(), async |store| {
        let key = key("a");
        let ticket = ticket(&*store, &key).await;
        let Asked { known: None, lease: Lease::Theirs(_) } = store.ask_token(&key, LONG).await.unwrap() else {
            panic!("a lease was given twice")
        };
        store.put_running(&key, &running(1), &ticket).await.unwrap();
        let asked = store.ask_token(&key, LONG).await.unwrap();
        assert_eq!((asked.known.unwrap().value, asked.lease), (TokenState::Running(running(1)), Lease::Needless));
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_askers_at_once_one_gets_the_lease() {
    over_each(limits(), async |store| {
        let asks = (0..100).map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.ask_token(&key("a"), LONG).await.unwrap().lease })
        });
        let mut ours = 0;
        for ask in asks.collect::<Vec<_>>() {
            ours += usize::from(matches!(ask.await.unwrap(), Lease::Yours(_)));
        }
        assert_eq!(ours, 1);
    })
    .await;
}

#[tokio::test]
async fn a_lease_of_one_who_died_is_the_next_ones_and_nobody_gives_back_anothers() {
    over_each(limits(), async |store| {
        let first = ticket(&*store, &key("a")).await;
        sleep(Duration::from_millis(350)).await;
        let second = ticket(&*store, &key("a")).await;
        assert_ne!(first.owner, second.owner);
        store.release(&key("a"), &first).await.unwrap();
        assert!(matches!(store.ask_token(&key("a"), LONG).await.unwrap().lease, Lease::Theirs(_)));
        store.release(&key("a"), &second).await.unwrap();
        ticket(&*store, &key("a")).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_is_taken_is_asked_again_and_is_there_all_the_same() {
    over_each(limits(), async |store| {
        run(&*store, "a", 1).await;
        sleep(Duration::from_millis(30)).await;
        let asked = store.ask_token(&key("a"), Duration::from_millis(10)).await.unwrap();
        let known = asked.known.unwrap();
        assert!(known.age >= Duration::from_millis(25) && known.age < Duration::from_secs(5), "{known:?}");
        assert_eq!(known.value, TokenState::Running(running(1)));
        assert!(matches!(asked.lease, Lease::Yours(_)), "{:?}", asked.lease);
    })
    .await;
}

#[tokio::test]
async fn an_ended_job_stays_ended_and_is_told_once() {
    over_each(limits(), async |store| {
        run(&*store, "a", 1).await;
        let (late, cursor) = (ticket(&*store, &key("b")).await, begin(&*store).await);
        store.end(&[JobId(1), JobId(2)]).await.unwrap();
        store.end(&[JobId(2), JobId(1), JobId(3)]).await.unwrap();
        assert_eq!(known(&*store, "a").await, Some(TokenState::Ended));
        // A look that was under way, with another token of the same job.
        assert_eq!(store.put_running(&key("b"), &running(1), &late).await, Ok(TokenState::Ended));
        assert_eq!(known(&*store, "b").await, Some(TokenState::Ended));
        let (ended, next) = since(&*store, &cursor).await;
        assert_eq!(ended, [1, 2, 3]);
        assert!(since(&*store, &next).await.0.is_empty());
        assert_eq!(store.project(JobId(1)).await, Ok(None));
    })
    .await;
}

#[tokio::test]
async fn a_token_that_was_running_and_is_unknown_has_ended_and_everybody_is_told() {
    over_each(limits(), async |store| {
        for (job, name, refused, ends) in [
            (1, "unknown", TokenState::Refused(Invalid::Unknown), true),
            (2, "ended", TokenState::Ended, true),
            (3, "gone", TokenState::Refused(Invalid::ProjectGone), true),
            (4, "blocked", TokenState::Refused(Invalid::UserBlocked), false),
        ] {
            run(&*store, name, job).await;
            let cursor = begin(&*store).await;
            sleep(Duration::from_millis(5)).await;
            let Lease::Yours(ticket) = store.ask_token(&key(name), Duration::ZERO).await.unwrap().lease else {
                panic!("no lease")
            };
            let stands = store.put_refused(&key(name), &refused, &ticket).await.unwrap();
            assert_eq!(stands, if ends { TokenState::Ended } else { refused }, "{name}");
            assert_eq!(known(&*store, name).await, Some(stands), "{name}");
            let told = if ends { vec![job] } else { Vec::new() };
            assert_eq!(since(&*store, &cursor).await.0, told, "{name}");
            // For good.
            let again = store.put_running(&key(name), &running(job), &ticket).await.unwrap();
            assert_eq!(again == TokenState::Ended, ends, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_later_stands_whichever_comes_last() {
    over_each(limits(), async |store| {
        let early = ticket(&*store, &key("a")).await;
        store.release(&key("a"), &early).await.unwrap();
        sleep(Duration::from_millis(5)).await;
        run(&*store, "a", 1).await;
        let unknown = TokenState::Refused(Invalid::Unknown);
        let stands = store.put_refused(&key("a"), &unknown, &early).await;
        assert_eq!(stands, Ok(TokenState::Running(running(1))), "a database that lags ends no job");
        assert_eq!(known(&*store, "a").await, Some(TokenState::Running(running(1))));
        let refused = ticket(&*store, &key("b")).await;
        assert_eq!(store.put_refused(&key("b"), &unknown, &refused).await, Ok(unknown.clone()));
        assert_eq!(known(&*store, "b").await, Some(unknown));
    })
    .await;
}

#[tokio::test]
async fn a_named_lease_is_kept_for_as_long_as_its_owner_says_so_and_no_other_has_it() {
    const SHORT: Duration = Duration::from_millis(100);
    over_each(limits(), async |store| {
        let first = store.lease("name", SHORT).await.unwrap().unwrap();
        assert!(store.renew("name", &first, LONG).await.unwrap());
        sleep(2 * SHORT).await;
        assert_eq!(store.lease("name", SHORT).await.unwrap(), None, "it was kept");
        assert!(store.renew("name", &first, Duration::from_millis(1)).await.unwrap());
        sleep(SHORT).await;
        assert_eq!(store.lease("name", SHORT).await.unwrap(), None, "and is not cut short");

        let early = store.lease("other", SHORT).await.unwrap().unwrap();
        sleep(2 * SHORT).await;
        assert!(store.renew("other", &early, SHORT).await.unwrap(), "nobody has it meanwhile");
        sleep(2 * SHORT).await;
        let late = store.lease("other", LONG).await.unwrap().unwrap();
        assert!(!store.renew("other", &early, LONG).await.unwrap());
        assert!(store.renew("other", &late, LONG).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn unknown_tokens_are_so_many_a_second_and_known_ones_do_not_count() {
    over_each(Limits { unknown_per_second: 3, ..limits() }, async |store| {
        // At the beginning of a second of the store, so that one second sees it all.
        loop {
            let ticket = store.lease("second", Duration::from_millis(1)).await.unwrap();
            if ticket.is_some_and(|ticket| ticket.at.0 % 1000 < 200) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        for name in ["a", "b", "c"] {
            ticket(&*store, &key(name)).await;
        }
        assert_eq!(store.ask_token(&key("d"), LONG).await.unwrap().lease, Lease::TooMany);
        assert!(matches!(store.ask_token(&key("a"), LONG).await.unwrap().lease, Lease::Theirs(_)));
        let late = Ticket { owner: "x".into(), ..second(&*store).await };
        store.put_running(&key("a"), &running(1), &late).await.unwrap();
        ticket(&*store, &key("d")).await;
        assert_eq!(store.ask_token(&key("e"), LONG).await.unwrap().lease, Lease::TooMany);
    })
    .await;
}

/// A ticket of now.
async fn second(store: &dyn Store) -> Ticket {
    loop {
        if let Some(ticket) = store.lease("now", Duration::from_millis(1)).await.unwrap() {
            return ticket;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

fn parts() -> Vec<(PartKey, Known)> {
    let project = Target {
        id: Some(ProjectId(102)),
        path: ProjectPath::parse("libs/common"),
        visibility: Some(Visibility::Private),
        features: Features::OPEN,
        job_push: JobPush::Own,
        public_jobs: true,
        archived: false,
    };
    let only = Grants::Only(Permissions::of(&[Permission::ReadJobs]));
    let entry = Some(Entry { link: Link::Group, grants: only });
    let part = |part, name: &str| PartKey { part, hash: key(name) };
    vec![
        (part(Part::Project, "project"), Known::Project(Some(project))),
        (part(Part::Project, "nothing"), Known::Project(None)),
        (part(Part::Member, "member"), Known::Member(Role::Reporter)),
        (part(Part::External, "external"), Known::External(true)),
        (part(Part::Allowlist, "allowlist"), Known::Allowlist { is_limited: true, entry }),
        (part(Part::Enforcement, "enforcement"), Known::Enforcement(false)),
        (part(Part::Outbound, "outbound"), Known::Outbound(true)),
    ]
}

#[tokio::test]
async fn parts_come_back_as_they_were_and_no_older_than_is_taken() {
    over_each(limits(), async |store| {
        let parts = parts();
        let wanted = |max_age| parts.iter().map(|(part, _)| (*part, max_age)).collect::<Vec<_>>();
        let fact = key("fact");
        let Asked { known, lease: Lease::Yours(ticket) } = store.ask_parts(&fact, &wanted(LONG), &[]).await.unwrap()
        else {
            panic!("no lease")
        };
        assert!(known.iter().all(Option::is_none));
        assert!(matches!(store.ask_parts(&fact, &wanted(LONG), &[]).await.unwrap().lease, Lease::Theirs(_)));
        let learned: Vec<_> = parts.iter().map(|(part, known)| (*part, known.clone(), LONG)).collect();
        store.put_parts(&learned, &[], &ticket).await.unwrap();
        store.release(&fact, &ticket).await.unwrap();
        let asked = store.ask_parts(&fact, &wanted(LONG), &[]).await.unwrap();
        assert_eq!(asked.lease, Lease::Needless);
        let known: Vec<Known> = asked.known.into_iter().map(|known| known.unwrap().value).collect();
        assert_eq!(known, parts.iter().map(|(_, known)| known.clone()).collect::<Vec<_>>());

        sleep(Duration::from_millis(20)).await;
        // One is learned anew, and what comes late changes nothing of it.
        let Asked { lease: Lease::Yours(later), .. } =
            store.ask_parts(&fact, &wanted(Duration::ZERO), &[]).await.unwrap()
        else {
            panic!("no lease")
        };
        let (member, _) = parts[2];
        store.put_parts(&[(member, Known::Member(Role::Owner), LONG)], &[], &later).await.unwrap();
        store.put_parts(&[(member, Known::Member(Role::Guest), LONG)], &[], &ticket).await.unwrap();
        let asked = store.ask_parts(&key("other"), &[(member, Duration::from_millis(15))], &[]).await.unwrap();
        assert_eq!(asked.lease, Lease::Needless);
        assert_eq!(asked.known[0].as_ref().unwrap().value, Known::Member(Role::Owner));
    })
    .await;
}

#[tokio::test]
async fn who_waits_hears_of_an_end_at_once() {
    over_each(limits(), async |store| {
        let cursor = begin(&*store).await;
        let (_keep, drains) = tokio::sync::watch::channel(false);
        let waiting = {
            let (store, cursor) = (Arc::clone(&store), cursor.clone());
            tokio::spawn(async move {
                crate::feed::poll(&*store, Some(&cursor), Duration::from_secs(5), drains).await.unwrap()
            })
        };
        sleep(Duration::from_millis(100)).await;
        let began = std::time::Instant::now();
        store.end(&[JobId(7)]).await.unwrap();
        let Changes::Since(ended, _) = timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap() else {
            panic!("lost")
        };
        assert_eq!(ended, [JobId(7)]);
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_cursor_that_is_none_of_ours_is_lost() {
    over_each(limits(), async |store| {
        let cursor = begin(&*store).await;
        let (life, _) = cursor.as_str().split_once('.').unwrap();
        for other in ["c-7", "x", "0123456789abcdef.0-0", &format!("{life}."), &format!("{life}.x-y"), "a.1.2"] {
            let other = Cursor::parse(other).unwrap();
            assert_eq!(store.changes(Some(&other)).await, Ok(Changes::Lost), "{}", other.as_str());
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_sweep_saw_run_is_younger_by_that_and_no_younger_than_its_lag() {
    over_each(limits(), async |store| {
        run(&*store, "a", 1).await;
        sleep(Duration::from_millis(1000)).await;
        let sweep = second(&*store).await;
        assert_eq!(store.running(&sweep).await.unwrap(), [JobId(1)]);
        assert_eq!(store.project(JobId(1)).await, Ok(Some(ProjectId(101))));
        store.seen(&[JobId(1), JobId(9)], &sweep, Duration::from_millis(40)).await.unwrap();
        let age = store.ask_token(&key("a"), LONG).await.unwrap().known.unwrap().age;
        assert!((40..900).contains(&age.as_millis()), "{age:?}");
        // A job that nobody knew is not known by that.
        assert_eq!(store.project(JobId(9)).await, Ok(None));
        store.end(&[JobId(1)]).await.unwrap();
        store.seen(&[JobId(1)], &sweep, Duration::ZERO).await.unwrap();
        assert_eq!(known(&*store, "a").await, Some(TokenState::Ended));
        assert_eq!(store.running(&second(&*store).await).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_memory_that_is_full_says_so_and_forgets_no_end() {
    let store = Memory::new(limits(), 3);
    for (name, job) in [("a", 1), ("b", 2), ("c", 3)] {
        run(&store, name, job).await;
    }
    let ticket = ticket(&store, &key("d")).await;
    assert_eq!(store.put_running(&key("d"), &running(4), &ticket).await, Err(StoreError::Full));
    store.end(&[JobId(1)]).await.unwrap();
    store.end(&[JobId(2), JobId(3)]).await.unwrap();
    assert_eq!(store.end(&[JobId(5)]).await, Err(StoreError::Full));
    store.change(&[key("a"), key("b"), key("c")]).await.unwrap();
    assert_eq!(store.change(&[key("d")]).await, Err(StoreError::Full), "a change that is forgotten would be none");
    assert_eq!(known(&store, "a").await, Some(TokenState::Ended));
}

#[tokio::test]
async fn what_was_known_before_a_change_is_not_and_who_asked_before_it_does_not_bring_it_back() {
    over_each(limits(), async |store| {
        let (fact, other) = (key("fact"), key("other"));
        let (user, project) = (key("user"), key("project"));
        let about = [user, project];
        let learned: Vec<_> = parts().into_iter().map(|(part, known)| (part, known, LONG)).collect();
        let wanted: Vec<_> = learned.iter().map(|(part, ..)| (*part, LONG)).collect();
        let ask = async |fact: &Hash, about: &[Hash]| {
            // Times are told in whole milliseconds: within one nothing is before anything else.
            sleep(Duration::from_millis(3)).await;
            let Asked { known, lease } = store.ask_parts(fact, &wanted, about).await.unwrap();
            (known.iter().flatten().count(), lease)
        };
        let (0, Lease::Yours(first)) = ask(&fact, &about).await else { panic!("no lease") };
        assert_eq!(store.put_parts(&learned, &about, &first).await, Ok(true));
        store.release(&fact, &first).await.unwrap();
        store.change(&[key("another user"), key("another project")]).await.unwrap();
        assert_eq!(ask(&fact, &about).await, (wanted.len(), Lease::Needless), "that is about others");

        let aged: Vec<_> = wanted.iter().map(|(part, _)| (*part, Duration::ZERO)).collect();
        let Lease::Yours(early) = store.ask_parts(&fact, &aged, &about).await.unwrap().lease else {
            panic!("no lease")
        };
        sleep(Duration::from_millis(3)).await;
        store.change(&[project]).await.unwrap();
        assert!(matches!(ask(&fact, &about).await, (0, Lease::Theirs(_))), "nothing is known, however old it may be");
        assert_eq!(ask(&other, &[user]).await, (wanted.len(), Lease::Needless), "of whom it is not about it is");
        assert_eq!(store.put_parts(&learned, &about, &early).await, Ok(false), "it was asked before");
        store.release(&fact, &early).await.unwrap();
        let (0, Lease::Yours(later)) = ask(&fact, &about).await else { panic!("it came back") };
        assert_eq!(store.put_parts(&learned, &about, &later).await, Ok(true));
        assert_eq!(ask(&fact, &about).await, (wanted.len(), Lease::Needless));
        // Whoever does not know what it is about writes it: who knows does not take it.
        store.change(&[user]).await.unwrap();
        assert_eq!(store.put_parts(&learned, &[], &later).await, Ok(true));
        assert_eq!(ask(&fact, &about).await.0, 0);
    })
    .await;
}
