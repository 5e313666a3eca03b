//! Versions of what decisions that are kept were made from. A version is the number of a row that has no bytes: to read it
//! copies nothing.

use policy::bindings::{Stripe, Stripes};
use policy::facts::Hash;

use super::Store;
use crate::host::{Host, Result};

impl<H: Host> Store<H> {
    /// The version of what is remembered of a token.
    pub(crate) fn stripe(&self, token: &Hash) -> Stripe {
        Stripe::of(token, self.config.capacity)
    }

    /// What the version is now. `None` where it cannot be told: then nothing is kept.
    pub(crate) fn version(&self, stripe: Stripe) -> Option<u32> {
        let key = self.stripes.get(stripe.place())?;
        self.host.row(key).ok()?.map(|(_, number)| number)
    }

    /// From now on no worker takes what it decided for what it would decide. To be called when the rows were written: what is
    /// decided in between is decided from the new ones, and kept under the old version.
    pub(super) fn revoke(&self, stripes: Stripes) -> Result<()> {
        // Each of them, and then the first that failed.
        stripes.each().map(|stripe| self.bump(stripe)).fold(Ok(()), Result::and)
    }

    /// The same of what was decided of this token.
    pub(super) fn revoke_token(&self, token: &Hash) -> Result<()> {
        self.revoke(Stripes::of(token, self.config.capacity))
    }

    /// Writes what could not be written before, so that no row changes for good without its version.
    pub(crate) fn make_up(&self) {
        if self.owes.take() {
            let _ = self.revoke(Stripes::ALL);
        }
    }

    fn bump(&self, stripe: Stripe) -> Result<()> {
        let Some(key) = self.stripes.get(stripe.place()) else { return Ok(()) };
        // Whoever was faster has bumped it as well.
        let bumped = self.host.row(key).map(Option::unwrap_or_default);
        let bumped = bumped.and_then(|(_, number)| self.host.set_row(key, &[], number));
        self.owes.set(self.owes.get() || bumped.is_err());
        bumped.map(drop)
    }
}
