//! What must hold, held for some seconds; and each planted fault, found.

use simulation::{Fault, run};

#[test]
fn nothing_goes_wrong_in_some_thousand_steps() {
    let mut sum = simulation::Tally::default();
    for seed in 0..16 {
        match run(seed, 1_500, None) {
            Ok(tally) => sum += tally,
            Err(failure) => panic!("{failure}"),
        }
    }
    // Whatever is refused always would hold just as well.
    assert!(sum.forwarded > 1_000 && sum.ends > 300 && sum.lookups > 1_000, "{sum}");
    assert!(sum.minted > 200 && sum.slots > 100 && sum.moves > 100, "{sum}");
    assert!(sum.spared > 300, "no decision is kept: {sum}");
}

#[test]
fn a_seed_is_played_alike_each_time() {
    assert_eq!(run(7, 1_000, None), run(7, 1_000, None));
}

#[test]
fn every_planted_fault_is_found_and_told_in_a_short_story() {
    for fault in Fault::ALL {
        let found = (0..200).find_map(|seed| run(seed, 300, Some(fault)).err());
        let Some(failure) = found else { panic!("{fault:?} is not found") };
        println!("{fault:?}: {failure}");
        assert!(failure.steps <= 40, "{fault:?}: {failure}");
    }
}
