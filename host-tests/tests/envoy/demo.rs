//! The demo's stories, with real clients through a real Envoy.

use host_tests::demo::{Chapter, Paint, Story, chapters, play, print_step};
use host_tests::stack::{Stack, checkout};

fn goes_as_told(chapter: &Chapter) {
    let story = Story::read(&checkout(), chapter.story).unwrap();
    let mut stack = Stack::start(&chapter.stack).unwrap();
    let report = play(&story, &stack, |step| {
        if !step.surprises.is_empty() || step.output.starts_with("left out: ") {
            print_step(step, Paint::Plain);
        }
    })
    .unwrap();
    let surprises = report.surprises();
    if !surprises.is_empty() {
        let dir = stack.keep_dir();
        panic!(
            "{} of {} steps surprised (see above); the logs are in {}",
            surprises.len(),
            report.steps.len(),
            dir.display()
        );
    }
}

#[test]
fn the_story_goes_as_told() {
    goes_as_told(&chapters()[0]);
}

#[test]
fn from_observing_to_an_enforced_allowlist_goes_as_told() {
    goes_as_told(&chapters()[1]);
}

#[test]
fn jobs_with_id_tokens_before_servers_that_know_none_go_as_told() {
    goes_as_told(&chapters()[2]);
}
