//! A configuration and what was opened for it.

use std::rc::Rc;

use policy::Config;
use policy::config::{ServiceToken, WebhookSecret};
use policy::facts::Secret;
use policy::lookup::Account;

use crate::counters::Counters;
use crate::document;
use crate::host::{Buffer, Host, Level};
use crate::journal::Journal;
use crate::store::Store;

/// The largest configuration that is read: two million names in access rules, and room for longer ones.
const CONFIGURATION_LIMIT: usize = 64 << 20;

/// What a worker works by.
#[derive(Debug)]
pub(crate) struct Setup<H> {
    pub(crate) config: Config,
    /// The service account, where a fact needs it.
    pub(crate) account: Option<Account>,
    /// The webhook's secret, where there is a webhook and the environment has it.
    pub(crate) webhook_secret: Option<Secret>,
    pub(crate) store: Store<H>,
    pub(crate) counters: Rc<Counters<H>>,
    pub(crate) journal: Rc<Journal<H>>,
}

impl<H: Host> Setup<H> {
    /// Reads the configuration that the host has.
    pub(crate) fn read(host: &H, journal: &Rc<Journal<H>>) -> Result<Self, String> {
        let document = host
            .buffer(Buffer::Configuration, 0, CONFIGURATION_LIMIT)
            .map_err(|error| format!("the configuration cannot be read: {error}"))?;
        let document = document::json(document);
        let config = Config::parse(&document).map_err(|errors| errors.to_string())?;
        for warning in &config.warnings {
            host.log(Level::Warn, &format!("jobscope: configuration: {warning}"));
        }
        let account = match &config.lookup.service_token {
            None => None,
            Some(ServiceToken::Cluster(_)) => Some(Account::ByProxy),
            Some(ServiceToken::Environment(name)) => Some(Account::Token(secret(host, "lookup.credential_env", name)?)),
        };
        let webhook_secret = match config.webhook.as_ref().map(|webhook| &webhook.secret) {
            None | Some(WebhookSecret::Envoy) => None,
            Some(WebhookSecret::Environment(name)) => Some(secret(host, "webhook.secret_env", name)?),
        };
        let counters = Rc::new(Counters::define(host, &document));
        let store = Store::open(host, &config, &counters, journal)
            .map_err(|error| format!("shared data cannot be opened: {error}"))?;
        Ok(Self { account, webhook_secret, store, counters, journal: Rc::clone(journal), config })
    }
}

/// The secret in the environment variable of this name, which stands under this key. The name is not repeated: somebody may
/// have put the secret itself in its place.
fn secret(host: &impl Host, key: &str, name: &str) -> Result<Secret, String> {
    let value = host.variable(name);
    let value = value.filter(|value| !value.is_empty() && value.bytes().all(|b| (0x21..0x7f).contains(&b)));
    value.map(|value| Secret::new(value.as_bytes())).ok_or_else(|| {
        format!(
            "1 error in the configuration\n{key}: expected an environment variable of the VM that holds a token, found the one that \
             it names unset, empty or not printable (Envoy passes on what `vm_config.environment_variables` names)"
        )
    })
}
