//! The reference registry beside the filter: what the filter accepts touches the image that the filter named.

use host_tests::oracle::registry::{Images, Named, WORDS, seeds, strange};
use host_tests::oracle::{Ask, Counts, Random, compare_compiled, family, runs};
use policy::Config;

const CONFIGURATION: &str = r#"{
    "forge": {"hosts": ["forge.example.com"], "registry_hosts": ["registry.example.com"]},
    "lookup": {"cluster": "lookup", "authority": "forge.example.com", "credential_env": "LOOKUP_TOKEN"}
}"#;
const HOST: &str = "registry.example.com";
const SEED: u64 = 3;
const COUNT: usize = 4000;

#[test]
fn what_is_accepted_touches_the_image_that_was_named() {
    let _alone = crate::alone();
    let config = Config::parse(CONFIGURATION.as_bytes()).unwrap();
    let named = |ask: &Ask| Named::of(&ask.reading(&config, HOST));
    let mut images = Images::start().unwrap();

    // A client's own requests: each touches what it is for, and so the oracle can see.
    let seeds = seeds();
    for (expected, ask) in &seeds {
        let ask = images.address(ask);
        let (answer, touched) = images.ask(&ask).unwrap();
        assert_eq!(touched, *expected, "{ask}: {answer:?}");
        assert!(matches!(named(&ask), Named::Accesses(_)), "{ask}");
    }

    let known = seeds.len();
    let seeds: Vec<Ask> = seeds.into_iter().map(|(_, ask)| ask).chain(strange()).collect();
    let mut counts = Counts::default();
    let mut redirected = 0;
    let mut wrong = Vec::new();
    for ask in family(&seeds, &WORDS, &mut Random::new(SEED), runs(COUNT)) {
        let ask = images.address(&ask);
        let named = named(&ask);
        let (answer, touched) = images.ask(&ask).unwrap();
        redirected += usize::from(answer.status.is_some_and(|status| (300..400).contains(&status)));
        *match named {
            Named::Refused if touched.is_nothing() => &mut counts.refused,
            Named::Refused => &mut counts.dangerous,
            Named::Accesses(_) if touched.is_nothing() => &mut counts.untouched,
            Named::Accesses(_) => &mut counts.agreed,
        } += 1;
        if !named.agrees(&touched) {
            wrong.push(format!("{ask}: named {named:?}, but {touched:?}"));
        }
        // The comparison itself can fail: what is named is needed, and no other name passes.
        if named != Named::Refused && !touched.is_nothing() && !touched.catalog {
            let mistaken = named.mistaken();
            assert!(mistaken == named || !mistaken.agrees(&touched), "{ask}: {mistaken:?} passed");
            assert!(!named.without(0).unwrap().agrees(&touched), "{ask}");
        }
    }
    let (_, touched) = images.ask(&Ask::new("GET", "/v2/")).unwrap();
    assert!(touched.is_nothing(), "a refused request changed something: {touched:?}");
    println!("{counts:?}, {redirected} redirected");
    assert!(wrong.is_empty(), "{counts:?}, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Requests that show nothing would prove nothing.
    assert!(counts.agreed > known && counts.untouched > 100 && counts.dangerous > 100, "{counts:?}");
}

#[test]
fn the_compiled_filter_names_the_same() {
    let _alone = crate::alone();
    let seeds: Vec<Ask> = seeds().into_iter().map(|(_, ask)| ask).chain(strange()).collect();
    let asks = family(&seeds, &WORDS, &mut Random::new(SEED), runs(COUNT));
    compare_compiled(CONFIGURATION, HOST, asks.iter().step_by(4)).unwrap();
}
