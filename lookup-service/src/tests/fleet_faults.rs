//! Two replicas of the service as processes whose clocks are a minute and more apart, over a real Redis with replicas and Sentinels, and
//! faults by seed: one is killed in a flight, the link between master and replicas is cut, and then the master is killed. All the
//! while jobs end, and whoever asks is held against what they were told before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::caller::Caller;
use super::forge::{Fault, StandIn};
use super::processes::{Link, Replica};
use crate::store::redis::server::{Server, watched};
use crate::store::seeds::Dice;

const JOBS: u64 = 40;

/// The first job's number.
const FIRST: u64 = 5000;

/// What each replica may ask the forge in a second.
const BUDGET: usize = 30;

/// How many clients ask all the while.
const READERS: u64 = 6;

fn token(job: u64) -> String {
    format!("glcbt-{job}")
}

/// What everybody was told.
#[derive(Default)]
struct Told {
    /// Jobs that somebody was told have ended.
    ended: BTreeSet<u64>,
    /// Ends that were acknowledged, and when they were first told: what was taken then may only be acknowledged when it is told again.
    acknowledged: BTreeMap<u64, Instant>,
    /// Ends that were listed to who follows, and when that one last got a first cursor.
    listed: BTreeSet<u64>,
    begun: Option<Instant>,
    /// How often the target was asked about without memory, and answered.
    granted: u64,
    wrong: Vec<String>,
}

/// Who plays.
struct Scene {
    forge: StandIn,
    /// The replicas that run.
    callers: Mutex<Vec<Caller>>,
    told: Mutex<Told>,
    is_over: AtomicBool,
}

impl Scene {
    fn caller(&self, dice: &mut Dice) -> Caller {
        let callers = self.callers.lock().unwrap();
        callers[dice.throw(callers.len() as u64) as usize].clone()
    }

    fn told<T>(&self, what: impl FnOnce(&mut Told) -> T) -> T {
        what(&mut self.told.lock().unwrap())
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Asks about jobs, of memory and of none: none runs that ended.
    async fn read(self: Arc<Self>, mut dice: Dice) {
        while self.goes_on() {
            let job = FIRST + dice.throw(JOBS);
            let max_age = if dice.throw(8) == 0 { None } else { Some(30) };
            let had_ended = self.told(|told| told.ended.contains(&job));
            let Some(said) = asked(&self.caller(&mut dice), &token(job), max_age).await else { continue };
            self.told(|told| match said.as_str() {
                "running" if had_ended => told.wrong.push(format!("{job} runs ({max_age:?}), and had ended")),
                "ended" => _ = told.ended.insert(job),
                _ => {}
            });
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Follows the list of ended jobs.
    async fn follow(self: Arc<Self>, mut dice: Dice) {
        let mut cursor = None;
        while self.goes_on() {
            let path = cursor.as_ref().map(|cursor| format!("&after={cursor}")).unwrap_or_default();
            let caller = self.caller(&mut dice);
            let request = caller.request("GET", &format!("/jobscope/v1/changes?wait=1{path}"));
            let Ok(reply) = caller.send(request.body(axum::body::Body::empty()).unwrap()).await else { continue };
            match reply.status {
                200 => {
                    let ended = reply.body["ended"].as_array().unwrap().iter().map(|job| job.as_u64().unwrap());
                    self.told(|told| {
                        told.listed.extend(ended);
                        // What ended before is asked for by whoever begins anew.
                        if cursor.is_none() {
                            told.begun = Some(Instant::now());
                        }
                    });
                    cursor = reply.body["cursor"].as_str().map(str::to_owned);
                }
                410 => cursor = None,
                _ => {}
            }
        }
    }

    /// Grants and takes back, and asks each time without memory: what was just said counts.
    async fn grant(self: Arc<Self>, mut dice: Dice) {
        while self.goes_on() {
            let is_listed = self.forge.with(|world| {
                world.is_listed = !world.is_listed;
                world.is_listed
            });
            let caller = self.caller(&mut dice);
            if let Some(admission) = admission(&caller).await {
                let due = if is_listed { "project" } else { "unlisted" };
                self.told(|told| {
                    told.granted += 1;
                    if admission != due {
                        told.wrong.push(format!("the target is {due}, and was said to be {admission}"));
                    }
                });
            }
            sleep(Duration::from_millis(400)).await;
        }
    }

    /// The forge ends a job, and an Envoy tells of it until somebody has taken it.
    async fn end(&self, job: u64, dice: &mut Dice) {
        self.forge.with(|world| world.jobs.remove(&token(job)));
        let begun = Instant::now();
        loop {
            let caller = self.caller(dice);
            let request = caller.request("POST", "/jobscope/v1/ended");
            let body = axum::body::Body::from(json!({"version": 1, "jobs": [job]}).to_string());
            if caller.send(request.body(body).unwrap()).await.is_ok_and(|reply| reply.status == 200) {
                return self.told(|told| _ = told.acknowledged.insert(job, begun));
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{job}: the end is never taken");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What is said of a token; nothing where nothing is known, or nobody answers.
async fn asked(caller: &Caller, token: &str, max_age: Option<u64>) -> Option<String> {
    let question = json!({"version": 1, "ask": "token", "token": token, "max_age": max_age});
    let body = axum::body::Body::from(question.to_string());
    let reply = caller.send(caller.request("POST", "/jobscope/v1/lookup").body(body).unwrap()).await.ok()?;
    (reply.status == 200).then(|| reply.body["token"].as_str().unwrap().to_owned())
}

async fn admission(caller: &Caller) -> Option<String> {
    let question = json!({"version": 1, "ask": "target", "job": {"id": 1001}, "target": {"path": "libs/common"},
        "origin": {"id": 101, "path": "apps/web"}, "user": {"id": 11, "name": "dana"}});
    let body = axum::body::Body::from(question.to_string());
    let reply = caller.send(caller.request("POST", "/jobscope/v1/lookup").body(body).unwrap()).await.ok()?;
    (reply.status == 200).then(|| reply.body["admission"].as_str().unwrap().to_owned())
}

/// The most calls within so long.
fn most_within(asked: &[(String, Instant)], time: Duration) -> usize {
    let mut times: Vec<Instant> = asked.iter().map(|(_, at)| *at).collect();
    times.sort();
    times
        .iter()
        .enumerate()
        .map(|(at, first)| times[at..].partition_point(|other| *other < *first + time))
        .max()
        .unwrap_or(0)
}

/// A seed's faults and what came of them.
async fn play(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let forge = StandIn::start().await;
    forge.with(|world| world.jobs.extend((0..JOBS + 1000).map(|job| (token(FIRST + job), (FIRST + job, "running")))));
    let (mut master, replicas, sentinels, link) = redis().await;
    let keys: BTreeMap<String, String> = [
        ("api.callers_env", "[CALLER]".to_owned()),
        ("operations.listen", "127.0.0.1:0".to_owned()),
        ("forge.url", format!("http://{}/gitlab/", forge.address)),
        ("forge.credential_env", "FORGE".to_owned()),
        ("forge.max_per_second", BUDGET.to_string()),
        ("lookup.timeout", "2s".to_owned()),
        ("sweep.every", "1h".to_owned()),
        ("store.kind", "redis".to_owned()),
        (
            "store.sentinels",
            json!(sentinels.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect::<Vec<_>>()).to_string(),
        ),
        ("store.master", "forge".to_owned()),
        ("store.key_env", "KEY".to_owned()),
    ]
    .map(|(path, value)| (path.to_owned(), value))
    .into();
    let mut processes = [Replica::start(&keys, 60).await, Replica::start(&keys, -60).await];
    let callers = Mutex::new(processes.each_ref().map(|replica| replica.caller.clone()).to_vec());
    let scene = Arc::new(Scene { forge, callers, told: Mutex::default(), is_over: AtomicBool::new(false) });
    let forge = &scene.forge;

    // Nobody asks twice within a fact's age, whichever replica is asked, and wherever its clock stands.
    let calls = forge.count("/gitlab/api/v4/job");
    for job in FIRST..FIRST + 5 {
        let asks = (0..10).map(|at| {
            let caller = processes[at % 2].caller.clone();
            tokio::spawn(async move { asked(&caller, &token(job), Some(30)).await })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap().as_deref(), Some("running"), "seed {seed}: {job}");
        }
    }
    assert_eq!(forge.count("/gitlab/api/v4/job") - calls, 5, "seed {seed}: a fact is asked for once within its age");

    // One is killed in the flight that it holds the lease of: the other asks in its place, once.
    let (victim, calls) = (dice.throw(2) as usize, forge.count("/gitlab/api/v4/job"));
    let slow = token(FIRST + JOBS);
    forge.with(|world| world.fault = Fault::Slow(Duration::from_millis(300)));
    let (caller, name) = (processes[victim].caller.clone(), slow.clone());
    let first = tokio::spawn(async move { asked(&caller, &name, Some(30)).await });
    let begun = Instant::now();
    while forge.count("/gitlab/api/v4/job") == calls {
        assert!(begun.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(5)).await;
    }
    processes[victim].kill();
    assert_eq!(first.await.unwrap(), None, "seed {seed}: it died before it could say anything");
    let asks = (0..10).map(|_| {
        let (caller, name) = (processes[1 - victim].caller.clone(), slow.clone());
        tokio::spawn(async move { asked(&caller, &name, Some(30)).await })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap().as_deref(), Some("running"), "seed {seed}: the other one answers");
    }
    assert_eq!(forge.count("/gitlab/api/v4/job") - calls, 2, "seed {seed}: the dead one's call and one more");
    forge.with(|world| world.fault = Fault::None);
    // What it had left of its second is over.
    sleep(Duration::from_millis(1100)).await;
    processes[victim] = Replica::start(&keys, if victim == 0 { 60 } else { -60 }).await;
    *scene.callers.lock().unwrap() = processes.each_ref().map(|replica| replica.caller.clone()).to_vec();

    let old = processes[0].caller.cursor().await;
    let mut actors: Vec<_> =
        (0..READERS).map(|at| tokio::spawn(Arc::clone(&scene).read(Dice(seed * 100 + at + 1)))).collect();
    actors.push(tokio::spawn(Arc::clone(&scene).follow(Dice(seed * 100 + 50))));
    actors.push(tokio::spawn(Arc::clone(&scene).grant(Dice(seed * 100 + 51))));
    let jobs: Vec<u64> = (FIRST..FIRST + JOBS).collect();
    let (before, rest) = jobs.split_at(JOBS as usize / 4);
    let (between, after) = rest.split_at(JOBS as usize / 4);
    for job in before {
        scene.end(*job, &mut dice).await;
    }
    // Ends that are told while the link is cut come to no replica.
    link.cut();
    let wait = Duration::from_millis(dice.throw(2500));
    let told: Vec<_> = between
        .iter()
        .map(|job| {
            let (scene, job, mut dice) = (Arc::clone(&scene), *job, Dice(dice.throw(1 << 40) + 1));
            tokio::spawn(async move {
                sleep(Duration::from_millis(dice.throw(1500))).await;
                scene.end(job, &mut dice).await;
            })
        })
        .collect();
    sleep(wait).await;
    master.kill();
    for end in told {
        end.await.unwrap();
    }
    for job in &after[..after.len() / 2] {
        scene.end(*job, &mut dice).await;
    }
    sleep(Duration::from_secs(2)).await;
    scene.is_over.store(true, Ordering::Relaxed);
    for actor in actors {
        actor.await.unwrap();
    }

    let context = format!("seed {seed}, killed {wait:?} after the link was cut");
    // Before there is a master that is believed nothing is said of any cursor.
    let mut stale = processes[1].caller.changes(1, Some(&old)).await;
    for _ in 0..40 {
        if stale.status != 503 {
            break;
        }
        sleep(Duration::from_millis(500)).await;
        stale = processes[1].caller.changes(1, Some(&old)).await;
    }
    assert_eq!(stale.status, 410, "{context}: a cursor of an older life");
    scene.told(|told| {
        assert_eq!(told.wrong, Vec::<String>::new(), "{context}");
        assert!(told.granted > 5, "{context}: {} answers", told.granted);
        let listed = told.acknowledged.iter().filter(|(_, at)| told.begun.is_some_and(|begun| **at > begun));
        let missing: Vec<_> = listed.filter(|(job, _)| !told.listed.contains(job)).collect();
        assert!(missing.is_empty(), "{context}: acknowledged and never listed: {missing:?}");
        let most = forge.with(|world| most_within(&world.asked, Duration::from_secs(2)));
        // In any two seconds; and for half a second calls may have been on their way here.
        assert!(most <= BUDGET * 5, "{context}: {most} calls within two seconds");
        assert!(most > BUDGET, "{context}: {most} calls at most: the budget was never tried");
    });
    // The forge takes it back, so that nothing but the store knows of these ends.
    forge.with(|world| world.jobs.extend(jobs.iter().map(|job| (token(*job), (*job, "running")))));
    let acknowledged: Vec<u64> = scene.told(|told| told.acknowledged.keys().copied().collect());
    for job in acknowledged {
        let mut said = None;
        while said.is_none() {
            said = asked(&processes[0].caller, &token(job), None).await;
        }
        assert_eq!(said.as_deref(), Some("ended"), "{context}: {job} was acknowledged");
    }
    drop((replicas, sentinels));
}

/// A master, two replicas that reach it over a link, and Sentinels who know them.
async fn redis() -> (Server, [Server; 2], Vec<(Server, u16)>, Link) {
    let settings = ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "2", "--repl-diskless-sync-delay", "0"];
    let (master, port) = Server::start_at_port(&settings);
    let link = Link::to(port).await;
    let near = link.port.to_string();
    let replica = || Server::start_at_port(&[&settings[..], &["--replicaof", "127.0.0.1", &near]].concat()).0;
    let replicas = [replica(), replica()];
    let sentinels = Server::sentinels(port);
    watched(&sentinels).await;
    (master, replicas, sentinels, link)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_cuts_and_kills_what_was_acknowledged_holds_and_nobody_is_told_more_than_is_so() {
    let seeds = std::env::var("SEEDS").map_or(2, |seeds| seeds.parse().unwrap());
    for seed in 1..=seeds {
        play(seed).await;
    }
}
