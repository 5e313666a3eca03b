//! The two stores, played by seed side by side: they say the same, and what has ended never runs again.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::bindings::Cursor;
use policy::facts::{Features, Hash, Invalid, JobId, JobPush, Known, Part, ProjectId, ProjectPath, Target};
use policy::lookup::PartKey;
use tokio::time::sleep;

use super::memory::Memory;
use super::redis::server::Server;
use super::suite::{key, running};
use super::{Asked, Changes, Lease, Limits, Store, Ticket, TokenState};

const SEEDS: u64 = 4;
const STEPS: usize = 400;
const LONG: Duration = Duration::from_secs(300);

/// A small generator: the same numbers for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// One store, and what its askers hold.
struct Side<'a> {
    store: &'a dyn Store,
    /// Tickets that were given and not used yet, each for a token.
    tickets: Vec<(u64, Ticket)>,
    cursor: Cursor,
    /// Every end that was ever told.
    told: Vec<u64>,
}

impl<'a> Side<'a> {
    async fn new(store: &'a dyn Store) -> Self {
        let Changes::Since(_, cursor) = store.changes(None).await.unwrap() else { panic!("lost") };
        Self { store, tickets: Vec::new(), cursor, told: Vec::new() }
    }

    /// Does what was thrown, and says what came of it.
    async fn play(&mut self, what: u64, token: u64, choice: u64, pick: usize) -> String {
        let name = key(&token.to_string());
        match what {
            0..=3 => {
                // Of memory, or of none.
                let max_age = if choice == 0 { Duration::ZERO } else { LONG };
                let Asked { known, lease } = self.store.ask_token(&name, max_age).await.unwrap();
                let lease = match lease {
                    Lease::Yours(ticket) => {
                        self.tickets.push((token, ticket));
                        "yours"
                    }
                    Lease::Needless => "needless",
                    Lease::Theirs(_) => "theirs",
                    Lease::TooMany => "many",
                };
                format!("{:?} {lease}", known.map(|known| known.value))
            }
            // Some ticket lands, early or late: its forge says one thing or another.
            4 | 5 if !self.tickets.is_empty() => {
                let (token, ticket) = self.tickets.remove(pick % self.tickets.len());
                let name = key(&token.to_string());
                let stands = match what {
                    // Two tokens of each job.
                    4 => self.store.put_running(&name, &running(token / 2), &ticket).await,
                    _ => {
                        let refused = [
                            TokenState::Refused(Invalid::Unknown),
                            TokenState::Refused(Invalid::UserBlocked),
                            TokenState::Refused(Invalid::Foreign),
                            TokenState::Ended,
                        ];
                        let refused = &refused[usize::try_from(choice).unwrap() % refused.len()];
                        self.store.put_refused(&name, refused, &ticket).await
                    }
                };
                self.store.release(&name, &ticket).await.unwrap();
                format!("{token} {stands:?}")
            }
            9 if choice == 0 => format!("{:?}", self.store.end(&[JobId(token / 2), JobId(1000 + token)]).await),
            8 => {
                let Changes::Since(ended, cursor) = self.store.changes(Some(&self.cursor)).await.unwrap() else {
                    panic!("lost")
                };
                self.cursor = cursor;
                self.told.extend(ended.iter().map(|job| job.0));
                format!("{ended:?}")
            }
            // A lease runs out while its flight is still under way: another one asks too.
            6 | 7 if !self.tickets.is_empty() => {
                let (token, ticket) = &self.tickets[pick % self.tickets.len()];
                self.store.release(&key(&token.to_string()), ticket).await.unwrap();
                format!("{token} lets go")
            }
            9 => format!("{:?}", self.store.project(JobId(token / 2)).await),
            _ => String::new(),
        }
    }
}

#[tokio::test]
async fn the_two_stores_say_the_same_and_what_has_ended_never_runs_again() {
    for seed in 1..=SEEDS {
        let limits = Limits { tokens: LONG, lease: LONG, unknown_per_second: 100_000 };
        let memory = Memory::new(limits.clone(), 100_000);
        let server = Server::start(&[]);
        let redis = server.store(limits);
        let (mut one, mut other) = (Side::new(&memory).await, Side::new(&*redis).await);
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut story = Vec::new();
        // Both begin at the same time, so that each throw happens in the same order of milliseconds in both.
        for step in 0..STEPS {
            // The few tokens of jobs that end are done with soon: later steps are about others.
            let token = dice.throw(8) + 8 * (step as u64 / 60);
            let (what, choice, pick) = (dice.throw(10), dice.throw(6), dice.throw(97) as usize);
            let said = one.play(what, token, choice, pick).await;
            let too = other.play(what, token, choice, pick).await;
            story.push(format!("{step}: {what} {token} {choice}: {said}"));
            assert_eq!(said, too, "seed {seed}:\n{}", story.join("\n"));
            sleep(Duration::from_millis(2)).await;
        }
        one.play(8, 0, 0, 0).await;
        other.play(8, 0, 0, 0).await;
        assert_eq!(one.told, other.told, "seed {seed}");
        let ended: BTreeSet<u64> = one.told.iter().copied().collect();
        assert_eq!(ended.len(), one.told.len(), "seed {seed}: an end is told once");
        assert!(!ended.is_empty(), "seed {seed}: something ended");
        for token in 0..60 {
            for side in [&one, &other] {
                let known = side.store.ask_token(&key(&token.to_string()), LONG).await.unwrap().known;
                let runs = known.is_some_and(|known| matches!(known.value, TokenState::Running(_)));
                assert!(!(runs && ended.contains(&(token / 2))), "seed {seed}: {token} runs and has ended");
            }
        }
    }
}

/// The parts of a play, and what each is about: one is everybody's, the others are of one or two.
fn part(at: u64) -> (PartKey, Vec<Hash>) {
    let subjects = match at {
        0 => vec![0, 1, 2],
        1 => vec![0, 1],
        2 => vec![0, 2],
        _ => vec![0],
    };
    let about = subjects.into_iter().map(|subject: u64| key(&format!("subject {subject}"))).collect();
    (PartKey { part: Part::Project, hash: key(&format!("part {at}")) }, about)
}

/// A project that tells when it was asked for.
fn asked_at(step: u64) -> Known {
    Known::Project(Some(Target {
        id: Some(ProjectId(step)),
        path: ProjectPath::parse("libs/common"),
        visibility: None,
        features: Features::OPEN,
        job_push: JobPush::Own,
        public_jobs: true,
        archived: false,
    }))
}

#[tokio::test]
async fn the_two_stores_forget_the_same_and_nothing_is_told_that_was_asked_before_it_changed() {
    for seed in 1..=SEEDS {
        let limits = Limits { tokens: LONG, lease: Duration::from_millis(60), unknown_per_second: 100_000 };
        let memory = Memory::new(limits.clone(), 100_000);
        let server = Server::start(&[]);
        let redis = server.store(limits);
        let sides: [&dyn Store; 2] = [&memory, &*redis];
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Tickets of each side that were given and not used yet, the step in which, and for which part.
        let mut tickets: Vec<([Ticket; 2], u64, u64)> = Vec::new();
        let mut changes: Vec<(u64, Hash)> = Vec::new();
        let (mut told, mut refused) = (0, 0);
        for step in 0..STEPS as u64 {
            let (what, at, pick) = (dice.throw(10), dice.throw(4), dice.throw(97) as usize);
            let (part, about) = part(at);
            match what {
                0..=4 => {
                    let max_age = if dice.throw(3) == 0 { Duration::ZERO } else { LONG };
                    let mut said = Vec::new();
                    let mut given = Vec::new();
                    for store in sides {
                        let fact = key(&format!("fact {at}"));
                        let Asked { known, lease } = store.ask_parts(&fact, &[(part, max_age)], &about).await.unwrap();
                        if let Lease::Yours(ticket) = &lease {
                            given.push(ticket.clone());
                            // Leases are no matter here: many ask beside each other.
                            store.release(&fact, ticket).await.unwrap();
                        }
                        said.push(known.into_iter().next().unwrap().map(|known| known.value));
                    }
                    assert_eq!(said[0], said[1], "seed {seed}, step {step}");
                    if let Some(Known::Project(Some(Target { id: Some(ProjectId(asked)), .. }))) = said[0] {
                        told += 1;
                        let between = |(changed, subject): &&(u64, Hash)| *changed >= asked && about.contains(subject);
                        assert_eq!(
                            changes.iter().find(between),
                            None,
                            "seed {seed}, step {step}: asked in step {asked}"
                        );
                    }
                    if let [one, other] = &given[..] {
                        tickets.push(([one.clone(), other.clone()], step, at));
                    }
                }
                5..=7 if !tickets.is_empty() => {
                    let (given, asked, at) = tickets.remove(pick % tickets.len());
                    let (part, about) = self::part(at);
                    let mut holds = Vec::new();
                    for (store, ticket) in sides.into_iter().zip(&given) {
                        holds.push(store.put_parts(&[(part, asked_at(asked), LONG)], &about, ticket).await.unwrap());
                    }
                    let changed = changes.iter().any(|(changed, subject)| *changed >= asked && about.contains(subject));
                    assert_eq!(holds, [!changed; 2], "seed {seed}, step {step}: asked in step {asked}");
                    refused += usize::from(changed);
                }
                8 => {
                    let subject = key(&format!("subject {}", dice.throw(3)));
                    changes.push((step, subject));
                    for store in sides {
                        store.change(&[subject]).await.unwrap();
                    }
                }
                _ => {}
            }
            sleep(Duration::from_millis(2)).await;
        }
        assert!(told > 10 && refused > 5, "seed {seed}: {told} told, {refused} refused: the play is about nothing");
    }
}
