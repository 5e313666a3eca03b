//! A proxy that keeps a body from the filter while its head waits, because a setting of it is missing: noticed with the first
//! request whose body is there and was not shown.

use std::time::Duration;

use policy::bindings::Moment;
use policy::choices::Bodies;

use super::crowd::{BODY_PATIENCE, Exchange, Standing};
use crate::host::{Host, Level, Stream};
use crate::setup::Setup;
use crate::worker::Worker;

/// For how long nobody waits for a body where one was not shown. Then it is tried once more: a filter in front may have kept it.
const DISTRUST: Duration = Duration::from_secs(60);

/// How long a body that is there may go unshown, which Envoy shows as soon as it came; and how long an answer may be without
/// one before its head goes on.
pub(super) const PROMPT: Duration = Duration::from_secs(1);

/// Whether the proxy shows a body while its head waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    /// Nobody waited for one yet.
    Unknown,
    /// It did.
    Seen,
    /// One was there then, and was not shown.
    NotSince(Moment),
}

impl<H: Host> Worker<H> {
    /// Whether heads go on before their bodies were read.
    pub(super) fn leaves_bodies(&self, setup: &Setup<H>) -> bool {
        self.withholds_bodies() || setup.config.forge.bodies == Bodies::Leave
    }

    /// Whether the proxy was seen to keep a body back, and none was shown since.
    pub(super) fn withholds_bodies(&self) -> bool {
        matches!(self.shows_bodies, Shows::NotSince(_))
    }

    /// Looks whether what waits for its body will ever be shown it.
    pub(crate) fn look_for_bodies(&mut self, now: Moment) {
        match self.shows_bodies {
            Shows::NotSince(since) if since.after(DISTRUST).has_come(DISTRUST, now) => {
                self.shows_bodies = Shows::Unknown
            }
            Shows::NotSince(_) | Shows::Unknown | Shows::Seen => {}
        }
        if self.shows_bodies == Shows::Unknown && self.unshown(now).into_iter().any(|stream| self.has_body(stream)) {
            self.shows_bodies = Shows::NotSince(now);
            let what = "jobscope: the proxy keeps bodies back while their heads wait: set `allow_on_headers_stop_iteration: true` \
                        for this filter, up to Envoy 1.39 together with another change of its configuration or a restart, or have \
                        `bodies: leave` in that. Until then what only its body can decide gets 503 `host.bodies`, and people's \
                        requests pass";
            self.host.log(Level::Critical, what);
        }
        if self.withholds_bodies() {
            self.crowd.give_bodies_up();
        }
        self.let_heads_go(now);
        let _ = self.host.act_for(None);
    }

    /// The requests that wait for their bodies, of which nothing was shown for long enough.
    fn unshown(&mut self, now: Moment) -> Vec<Stream> {
        let is_late = |exchange: &Exchange| {
            let Standing::Body(_, deadline) = exchange.stands() else { return false };
            !exchange.is_shown && deadline.before(BODY_PATIENCE).after(PROMPT).has_come(PROMPT, now)
        };
        self.crowd.each().filter_map(|(stream, exchange)| is_late(exchange).then_some(stream)).collect()
    }

    fn has_body(&self, stream: Stream) -> bool {
        self.host.act_for(Some(stream)).and_then(|()| self.host.body_size()).is_ok_and(|size| size > 0)
    }
}
