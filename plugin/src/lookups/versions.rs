//! The forge's version, where it is looked up.

use policy::bindings::Moment;
use policy::config::VersionSource;
use policy::facts::Version;
use policy::lookup::{Answer, version};

use super::question::Question;
use crate::host::{Host, Level, Result};
use crate::setup::Setup;

/// One root context's part in it.
#[derive(Debug, Default)]
pub(crate) struct Versions(Question<Version>);

impl Versions {
    /// Asks where that is due, and tells which version is known, where it is another than the configuration has.
    pub(crate) fn tick<H: Host>(&mut self, host: &H, setup: &Setup<H>, now: Moment) -> Option<Version> {
        if setup.config.forge.version_source == VersionSource::Configuration {
            return None;
        }
        let ask = || setup.account.as_ref().map(|account| version::ask(&setup.config, account));
        self.0.tick(host, setup, ask, now).filter(|version| *version != setup.config.forge.version)
    }

    /// Takes the answer to a call, if it is to the one that was sent here. `false` when it is not.
    pub(crate) fn answer<H: Host>(
        &mut self,
        setup: &Setup<H>,
        call: u32,
        answer: &Answer<'_>,
        now: Result<Moment>,
    ) -> bool {
        if !self.0.awaits(call) {
            return false;
        }
        match version::read(&setup.config, answer) {
            Ok(version) => {
                self.0.learn(setup, version, now);
            }
            Err(failure) => {
                setup.journal.note(Level::Warn, "the forge's version cannot be looked up", failure.text());
            }
        }
        true
    }
}
