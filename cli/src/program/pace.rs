//! Many calls to a forge that runs: no more in a second than are allowed, and how far they are.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use policy::lookup::Call;
use questions::live::targets::Progress;
use questions::live::{Sent, Service};

/// A service that is called no more often than may be.
pub(crate) struct Paced<'a> {
    service: &'a mut dyn Service,
    /// How far calls are apart at least.
    apart: Duration,
    next: Instant,
}

impl<'a> Paced<'a> {
    /// A service that gets so many calls in a second at most; as many as there are where that is not said.
    pub(crate) fn of(service: &'a mut dyn Service, most: Option<u32>) -> Self {
        let apart = most.and_then(|most| Duration::from_secs(1).checked_div(most)).unwrap_or_default();
        Self { service, apart, next: Instant::now() }
    }
}

impl Service for Paced<'_> {
    fn send(&mut self, call: &Call) -> Sent {
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        let now = Instant::now();
        self.next = now.checked_add(self.apart).unwrap_or(now);
        self.service.send(call)
    }
}

/// Tells on standard error how far it is: on a terminal in one line that changes, else now and then in another one.
pub(crate) struct Meter {
    began: Instant,
    told: Option<Instant>,
    last: Option<Progress>,
    is_terminal: bool,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), told: None, last: None, is_terminal: std::io::stderr().is_terminal() }
    }

    /// It is so far.
    pub(crate) fn tell(&mut self, progress: Progress) {
        self.last = Some(progress);
        let often = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(10) };
        if self.told.unwrap_or(self.began).elapsed() >= often {
            self.told = Some(Instant::now());
            self.print(progress, if self.is_terminal { "\r" } else { "\n" });
        }
    }

    /// There is no more.
    pub(crate) fn end(&self) {
        if let Some(progress) = self.last {
            self.print(progress, "\n");
        }
    }

    fn print(&self, progress: Progress, end: &str) {
        let Progress { found, done, calls } = progress;
        let far = match done {
            None => format!("found {found} projects"),
            Some(done) => format!("asked about {done} of {found} projects"),
        };
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) / seconds;
        // What stood there before is wiped out.
        let wipe = if self.is_terminal { "\x1b[K" } else { "" };
        anstream::eprint!("jobscope: {far}, {calls} calls, {rate:.1} a second{wipe}{end}");
    }
}
