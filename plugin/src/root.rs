//! The root context: configuration, answers to lookups, and the clock.

use std::rc::Rc;
use std::time::Duration;

use policy::Config;
use policy::facts::Secret;
use policy::lookup::Answer;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::document;
use crate::host::{self, Buffer, Level, Map};
use crate::shared::{Setup, Shared};
use crate::store::Store;
use crate::stream::Stream;

/// How exactly deadlines are kept: to a tenth of `lookup.timeout`, within these bounds.
const TICKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// The largest configuration that is read: two million names in access rules, and room for longer ones.
const CONFIGURATION_LIMIT: usize = 64 << 20;

/// The largest answer that is read.
const ANSWER_LIMIT: usize = 32 << 20;

/// One plugin configuration on one worker.
pub(crate) struct Root {
    shared: Rc<Shared>,
}

impl Root {
    pub(crate) fn new(context: u32) -> Self {
        Self { shared: Rc::new(Shared::new(context)) }
    }

    fn setup() -> Result<Setup, String> {
        let document = host::buffer(Buffer::PluginConfiguration, CONFIGURATION_LIMIT)
            .map_err(|error| format!("the configuration cannot be read: {error:?}"))?;
        let config = Config::parse(&document::json(document)).map_err(|errors| errors.to_string())?;
        let credential = config.lookup.credential_env.as_deref().map(credential).transpose()?;
        let store = Store::open(&config).map_err(|error| format!("shared data cannot be opened: {error:?}"))?;
        Ok(Setup { credential, store, config })
    }
}

/// The service account's token in the environment variable of this name.
fn credential(name: &str) -> Result<Secret, String> {
    let value = std::env::var(name).ok();
    let value = value.filter(|value| !value.is_empty() && value.bytes().all(|b| (0x21..0x7f).contains(&b)));
    value.map(|value| Secret::new(value.as_bytes())).ok_or_else(|| {
        format!(
            "1 error in the configuration\nlookup.credential_env: expected an environment variable of the VM that holds a token, found `{name}` \
             unset, empty or not printable (Envoy passes on what `vm_config.environment_variables` names)"
        )
    })
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, num_headers: usize, body_size: usize, _: usize) {
        // Without headers the call failed, and then there is no map to read.
        let headers = if num_headers > 0 { host::headers(Map::CallResponse).ok() } else { None };
        let fields = headers.as_ref().and_then(|headers| headers.fields()).unwrap_or_default();
        let field = |name: &str| fields.iter().find(|(known, _)| *known == name.as_bytes()).map(|(_, value)| *value);
        let status = field(":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        let body = if body_size > 0 {
            host::buffer(Buffer::CallResponseBody, body_size.min(ANSWER_LIMIT)).unwrap_or_default()
        } else {
            Vec::new()
        };
        self.shared.answer(
            call,
            &Answer { status, next_page: field("x-next-page"), location: field("location"), body: &body },
        );
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Self::setup() {
            Ok(setup) => {
                let period = setup.config.lookup.timeout.checked_div(10).unwrap_or_default().clamp(TICKS.0, TICKS.1);
                self.shared.configure(setup);
                if let Err(error) = host::tick_every(period) {
                    host::log(Level::Critical, &format!("jobscope: no clock, so no deadlines: {error:?}"));
                    return false;
                }
                true
            }
            Err(error) => {
                host::log(Level::Critical, &format!("jobscope: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.shared.tick();
    }

    /// A stream entered the root context to have its lookups sent: see [`host::enter_root`].
    fn on_queue_ready(&mut self, _: u32) {
        self.shared.depart();
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(context, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
