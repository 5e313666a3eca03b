//! The secrets that a service is sent, of which no word of its answers may show one.

use policy::facts::Secret;
use policy::lookup::Account;

use super::names::segment;
use crate::setup::masked;

/// The service account's token, and those that were asked about.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// Those that are sent in a service account's name.
    pub(super) fn of(account: Option<&Account>) -> Self {
        match account {
            Some(Account::Token(token)) => Self(vec![token.clone()]),
            Some(Account::ByProxy) | None => Self::default(),
        }
    }

    /// Another one is sent.
    pub(super) fn add(&mut self, secret: &Secret) {
        self.0.push(secret.clone());
    }

    /// A text of an answer without these, as they are or as an address has them, and without what else looks like a secret.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            // What is no text cannot stand in one.
            let Some(plain) = std::str::from_utf8(secret.expose()).ok().filter(|plain| !plain.is_empty()) else {
                continue;
            };
            text = text.replace(plain, SHOWN).replace(&segment(plain), SHOWN);
        }
        masked(&text)
    }
}

const SHOWN: &str = "[secret]";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_not_shown_however_it_looks() {
        let account = Account::Token(Secret::new(b"mycorp_pat_0123/45=="));
        let mut secrets = Secrets::of(Some(&account));
        secrets.add(&Secret::new(b"plain"));
        secrets.add(&Secret::new(b""));
        secrets.add(&Secret::new(b"\xff"));
        for (text, shown) in [
            ("401 bad mycorp_pat_0123/45==", "401 bad [secret]"),
            ("https://sso.invalid/?t=mycorp_pat_0123%2F45%3D%3D&u=plain", "https://sso.invalid/?t=[secret]&u=[secret]"),
            ("no glpat-another", "no [secret]"),
            ("401 Unauthorized", "401 Unauthorized"),
        ] {
            assert_eq!(secrets.masked(text), shown);
        }
        assert_eq!(Secrets::of(Some(&Account::ByProxy)).masked("plain"), "plain");
    }
}
