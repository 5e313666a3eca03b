//! What runs on the simulated proxy: the filter, or the probe that tells what the host does.

use jobscope::{Flow, Load, Stream};

use crate::host::SimulatedHost;

/// What a proxy tells.
pub(crate) trait Filter {
    fn new(host: SimulatedHost) -> Self;
    /// One that keeps no decision.
    fn forgetful(host: SimulatedHost) -> Self;
    fn configure(&mut self) -> bool;
    fn request_head(&mut self, stream: Stream, end: bool) -> Flow;
    fn request_body(&mut self, stream: Stream, size: usize, end: bool) -> Flow;
    fn request_trailers(&mut self, stream: Stream) -> Flow;
    fn answer_head(&mut self, stream: Stream, end: bool) -> Flow;
    fn answer_body(&mut self, stream: Stream, size: usize, end: bool) -> Flow;
    fn answer_trailers(&mut self, stream: Stream) -> Flow;
    fn gone(&mut self, stream: Stream);
    fn answered(&mut self, call: u32, has_headers: bool, size: usize);
    fn tick(&mut self);
    fn has_departures(&self) -> bool;
    fn depart(&mut self);
    fn load(&self) -> Load;
    fn retire(&mut self);
}

macro_rules! filter {
    ($filter:ty, $forgetful:expr, $load:expr) => {
        impl Filter for $filter {
            fn new(host: SimulatedHost) -> Self {
                <$filter>::new(host)
            }
            fn forgetful(host: SimulatedHost) -> Self {
                $forgetful(host)
            }
            fn configure(&mut self) -> bool {
                self.configure()
            }
            fn request_head(&mut self, stream: Stream, end: bool) -> Flow {
                self.request_head(stream, end)
            }
            fn request_body(&mut self, stream: Stream, size: usize, end: bool) -> Flow {
                self.request_body(stream, size, end)
            }
            fn request_trailers(&mut self, stream: Stream) -> Flow {
                self.request_trailers(stream)
            }
            fn answer_head(&mut self, stream: Stream, end: bool) -> Flow {
                self.answer_head(stream, end)
            }
            fn answer_body(&mut self, stream: Stream, size: usize, end: bool) -> Flow {
                self.answer_body(stream, size, end)
            }
            fn answer_trailers(&mut self, stream: Stream) -> Flow {
                self.answer_trailers(stream)
            }
            fn gone(&mut self, stream: Stream) {
                self.gone(stream);
            }
            fn answered(&mut self, call: u32, has_headers: bool, size: usize) {
                self.answered(call, has_headers, size);
            }
            fn tick(&mut self) {
                self.tick();
            }
            fn has_departures(&self) -> bool {
                self.has_departures()
            }
            fn depart(&mut self) {
                self.depart();
            }
            fn load(&self) -> Load {
                $load(self)
            }
            fn retire(&mut self) {
                self.retire();
            }
        }
    };
}

filter!(jobscope::Worker<SimulatedHost>, jobscope::Worker::without_memo, jobscope::Worker::load);
filter!(probe::Worker<SimulatedHost>, probe::Worker::new, |_: &_| Load::default());
