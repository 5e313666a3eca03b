//! The demo's story, with real clients through a real Envoy.

use host_tests::demo::{Paint, Story, options, play, print_step};
use host_tests::stack::{Stack, checkout};

#[test]
fn the_story_goes_as_told() {
    let story = Story::read(&checkout()).unwrap();
    let mut stack = Stack::start(&options()).unwrap();
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
