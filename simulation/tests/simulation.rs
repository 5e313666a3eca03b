//! What must hold, held for some seconds; and each planted fault, found.

use simulation::{Failure, Fault, run};

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
    assert!(sum.minted > 200 && sum.slots > 100 && sum.moves > 100 && sum.evictions > 0, "{sum}");
    assert!(sum.spared > 300, "no decision is kept: {sum}");
}

#[test]
fn a_seed_is_played_alike_each_time() {
    assert_eq!(run(7, 1_000, None), run(7, 1_000, None));
}

/// By what each fault is found: words of the promise that it breaks.
fn broken(fault: Fault) -> &'static str {
    match fault {
        Fault::ForgottenEnds
        | Fault::LostWrites
        | Fault::OldRows
        | Fault::UntoldEnds
        | Fault::LostVersions
        | Fault::LateVersions
        | Fault::OldVersions => "goes on, and the end of job",
        Fault::SlowClock | Fault::DeafToPause | Fault::UntoldAges | Fault::SharedLayouts | Fault::UnwantedMemory => {
            "goes on, and no lookup says that"
        }
        Fault::WrongStream | Fault::OldPaths | Fault::OldSettings => "goes on, and no lookup admits",
        Fault::NoTicks | Fault::LostReplies | Fault::DroppedExchanges => "neither answered nor goes on",
        Fault::GrowingRows => " bytes",
        Fault::SilentLeaving => "at most, and the filter has",
        Fault::SwappedAnswers => "is told to come again, and nothing failed",
        Fault::DoubtfulCalls => "a fact is looked up twice at once",
        Fault::DoubtfulParts => "a part is looked up twice at once",
        Fault::KeptBodies => "hands the forge's own credential out",
        Fault::OldDenials => "is denied what job",
        Fault::LastPieces | Fault::LostMinted => "is whole, and was not read",
        Fault::UntoldMinted | Fault::SilentEvictions => "a decision that was kept is not the one that would be made",
        _ => "a promise that stands here",
    }
}

#[test]
fn every_planted_fault_is_found_by_what_it_breaks_and_told_in_a_short_story() {
    for fault in Fault::ALL {
        let is_it = |failure: &Failure| failure.what.contains(broken(fault));
        let found = (0..200).find_map(|seed| run(seed, 300, Some(fault)).err().filter(|failure| is_it(failure)));
        let Some(failure) = found else { panic!("{fault:?} is not found") };
        println!("{fault:?}: {failure}");
        assert!(failure.steps <= 40, "{fault:?}: {failure}");
    }
}
