//! Git's own server beside the filter: what the filter accepts touches the repository that the filter named.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::thread;

use host_tests::oracle::git::{Forest, Named, Seen, WORDS};
use host_tests::oracle::{Ask, Counts, Random, compare_compiled, family, runs};
use policy::Config;

const CONFIGURATION: &str = r#"{
    "forge": {"hosts": ["forge.example.com"]},
    "lookup": {"cluster": "lookup", "authority": "forge.example.com", "credential_env": "LOOKUP_TOKEN"}
}"#;
const HOST: &str = "forge.example.com";
const SEED: u64 = 3;
const COUNT: usize = 10_000;

fn named(ask: &Ask) -> Named {
    let config = Config::parse(CONFIGURATION.as_bytes()).unwrap();
    Named::of(&ask.reading(&config, HOST))
}

#[test]
fn each_repository_is_told_apart_in_every_protocol() {
    let _alone = crate::alone();
    let forest = Forest::plant().unwrap();
    for (number, ask) in forest.seeds() {
        let seen = forest.ask(&ask).unwrap();
        let [Seen::Touched(repositories, _)] = &seen[..] else { panic!("{ask}: {seen:?}") };
        assert_eq!(*repositories, BTreeSet::from([number]), "{ask}");
        assert!(named(&ask).agrees(&seen[0]), "{ask}: {:?}, but {seen:?}", named(&ask));
    }
}

#[test]
fn what_is_accepted_touches_the_repository_that_was_named() {
    let _alone = crate::alone();
    let forest = Forest::plant().unwrap();
    let seeds: Vec<Ask> = forest.seeds().into_iter().map(|(_, ask)| ask).collect();
    let known = seeds.len();
    let asks = family(&seeds, &WORDS, &mut Random::new(SEED), runs(COUNT));
    drop(forest);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let shares: Vec<(Counts, Vec<String>)> = thread::scope(|scope| {
        let readers: Vec<_> =
            asks.chunks(asks.len().div_ceil(threads)).map(|asks| scope.spawn(|| compare(asks))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let mut counts = Counts::default();
    for (share, _) in &shares {
        counts += *share;
    }
    let wrong: Vec<String> = shares.into_iter().flat_map(|(_, wrong)| wrong).collect();
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{counts:?}, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Requests that show nothing would prove nothing.
    assert!(counts.agreed > known && counts.untouched > 100 && counts.dangerous > 100, "{counts:?}");
}

fn compare(asks: &[Ask]) -> (Counts, Vec<String>) {
    let forest = Forest::plant().unwrap();
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    for ask in asks {
        let named = named(ask);
        let seen = forest.ask(ask).unwrap();
        let is_touched = seen.iter().any(|seen| *seen != Seen::Nothing);
        *match named {
            Named::Refused if is_touched => &mut counts.dangerous,
            Named::Refused => &mut counts.refused,
            Named::Forbidden => &mut counts.forbidden,
            Named::Nothing | Named::Repository(..) if is_touched => &mut counts.agreed,
            Named::Nothing | Named::Repository(..) => &mut counts.untouched,
        } += 1;
        for seen in &seen {
            if !named.agrees(seen) {
                wrong.push(format!("{ask}: named {named:?}, but {seen:?}"));
            }
            // The comparison itself can fail: no name but the right one passes.
            let mistaken = named.mistaken();
            assert!(
                mistaken == named || *seen == Seen::Nothing || !mistaken.agrees(seen),
                "{ask}: {mistaken:?} passed"
            );
        }
    }
    (counts, wrong)
}

#[test]
fn the_compiled_filter_names_the_same() {
    let _alone = crate::alone();
    let seeds: Vec<Ask> = Forest::plant().unwrap().seeds().into_iter().map(|(_, ask)| ask).collect();
    let asks = family(&seeds, &WORDS, &mut Random::new(SEED), runs(COUNT));
    compare_compiled(CONFIGURATION, HOST, asks.iter().step_by(8)).unwrap();
}
