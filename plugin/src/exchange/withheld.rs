//! A proxy that keeps a body from the filter while its head waits, because a setting of it is missing: noticed with the first
//! request whose body is there and was not shown.

use std::time::Duration;

use policy::bindings::Moment;
use policy::choices::Bodies;

use super::answer::Answering;
use super::crowd::BODY_PATIENCE;
use crate::host::{Host, Level, Stream};
use crate::setup::Setup;
use crate::worker::Worker;

/// How long a body that is there may go unshown, which Envoy shows as soon as it came; and how long an answer may be without
/// one before its head goes on.
const PROMPT: Duration = Duration::from_secs(1);

impl<H: Host> Worker<H> {
    /// Whether heads go on before their bodies were read.
    pub(super) fn leaves_bodies(&self, setup: &Setup<H>) -> bool {
        self.withholds_bodies || setup.config.forge.bodies == Bodies::Leave
    }

    /// Looks whether what waits for its body will ever be shown it.
    pub(crate) fn look_for_bodies(&mut self, now: Moment) {
        if !self.withholds_bodies && self.unshown(now).is_some_and(|stream| self.has_body(stream)) {
            self.withholds_bodies = true;
            let what = "jobscope: the proxy keeps bodies back while their heads wait: set `allow_on_headers_stop_iteration: true` \
                        for this filter, or `bodies: leave` in its configuration. Until then what only its body can decide gets \
                        503 `host.bodies`, and people's requests pass";
            self.host.log(Level::Critical, what);
        }
        if self.withholds_bodies {
            self.crowd.give_bodies_up();
        }
        for stream in self.crowd.heads_held(PROMPT, now) {
            let resumed = self.host.act_for(Some(stream)).and_then(|()| self.host.resume_answer());
            if let (Ok(()), Some(exchange)) = (resumed, self.crowd.find(stream))
                && let Answering::Read(answer) = &mut exchange.answering
            {
                answer.let_head_go();
            }
        }
        let _ = self.host.act_for(None);
    }

    /// A request that waits for its body, of which nothing was shown for long enough.
    fn unshown(&self, now: Moment) -> Option<Stream> {
        let began = |deadline: Moment| deadline.before(BODY_PATIENCE);
        self.crowd
            .unshown()
            .find(|(_, deadline)| began(*deadline).after(PROMPT).has_come(PROMPT, now))
            .map(|(stream, _)| stream)
    }

    fn has_body(&self, stream: Stream) -> bool {
        self.host.act_for(Some(stream)).and_then(|()| self.host.body_size()).is_ok_and(|size| size > 0)
    }
}
