//! The forge's version, where it is looked up: one root context of the whole proxy asks, and all of them look at what is
//! known.

use std::time::Duration;

use policy::bindings::Moment;
use policy::config::VersionSource;
use policy::facts::Version;
use policy::lookup::{Answer, version};
use policy::request::TraceContext;

use super::send;
use crate::host::{Host, HostError, Level, Result};
use crate::journal;
use crate::setup::Setup;

/// How often it is looked what is known.
const LOOKS: Duration = Duration::from_secs(1);

/// One root context's part in it.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    next_look: Option<Moment>,
    /// The call that was sent last.
    call: Option<u32>,
}

impl Versions {
    /// Asks where that is due, and tells which version is known, where it is another than the configuration has.
    pub(crate) fn tick<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) -> Option<Version> {
        let is_early = self.next_look.is_some_and(|next| !next.has_come(LOOKS, now));
        if setup.config.forge.version_source == VersionSource::Configuration || is_early {
            return None;
        }
        self.next_look = Some(now.after(LOOKS));
        match setup.store.release(now) {
            Ok((known, is_due)) => {
                if is_due && let Some(credential) = &setup.credential {
                    let call = version::ask(&setup.config, credential);
                    self.call = send(host, &setup.config, &call, &TraceContext::NONE, setup.config.lookup.timeout);
                }
                known.filter(|version| *version != setup.config.forge.version)
            }
            Err(error) => {
                complain(host, error);
                None
            }
        }
    }

    /// Takes the answer to a call, if it is to the one that was sent here. `false` when it is not.
    pub(crate) fn answer<H: Host>(
        &mut self,
        host: &H,
        setup: &Setup<H>,
        call: u32,
        answer: &Answer<'_>,
        now: Result<Moment>,
    ) -> bool {
        if self.call != Some(call) {
            return false;
        }
        self.call = None;
        match version::read(&setup.config, answer) {
            Ok(version) => {
                // What all workers are to know this one sees with its next look.
                if let Err(error) = now.and_then(|now| setup.store.learn_release(version, now)) {
                    complain(host, error);
                }
                self.next_look = None;
            }
            Err(failure) => {
                journal::note(host, Level::Warn, "the forge's version cannot be looked up", failure.text());
            }
        }
        true
    }
}

fn complain(host: &impl Host, error: HostError) {
    journal::note(host, Level::Error, "the forge's version cannot be remembered", error);
}
