//! The root context: configuration, answers to lookups, and the clock.

use std::rc::Rc;
use std::time::Duration;

use policy::Config;
use policy::facts::Secret;
use policy::lookup::{self, Answer};
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

/// The largest answer that is read; the largest that a forge gives is a page of a hundred projects. Read JSON takes many
/// times its size, and memory that the filter once had stays its own.
const ANSWER_LIMIT: usize = 4 << 20;

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
            .map_err(|error| format!("the configuration cannot be read: {error}"))?;
        let config = Config::parse(&document::json(document)).map_err(|errors| errors.to_string())?;
        for warning in &config.warnings {
            host::log(Level::Warn, &format!("jobscope: configuration: {warning}"));
        }
        let secret = |key, name: Option<&str>| name.map(|name| secret(key, name)).transpose();
        let credential = secret("lookup.credential_env", config.lookup.credential_env.as_deref())?;
        let webhook = config.webhook.as_ref().map(|webhook| webhook.secret_env.as_str());
        let webhook_secret = secret("webhook.secret_env", webhook)?;
        let store = Store::open(&config).map_err(|error| format!("shared data cannot be opened: {error}"))?;
        Ok(Setup { credential, webhook_secret, store, config })
    }
}

/// The secret in the environment variable of this name, which stands under this key.
fn secret(key: &str, name: &str) -> Result<Secret, String> {
    let value = std::env::var(name).ok();
    let value = value.filter(|value| !value.is_empty() && value.bytes().all(|b| (0x21..0x7f).contains(&b)));
    value.map(|value| Secret::new(value.as_bytes())).ok_or_else(|| {
        format!(
            "1 error in the configuration\n{key}: expected an environment variable of the VM that holds a token, found `{name}` \
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
        // Of a longer one no part is an answer.
        let body = if (1..=ANSWER_LIMIT).contains(&body_size) {
            host::buffer(Buffer::CallResponseBody, body_size).unwrap_or_default()
        } else {
            Vec::new()
        };
        // No answer came, or Envoy speaks for a service that it did not reach: what came from one has this field.
        let is_lost =
            status.is_none_or(|status| matches!(status, 502 | 503)) && field("x-envoy-upstream-service-time").is_none();
        let answer = Answer { status, next_page: field("x-next-page"), location: field("location"), body: &body };
        if let Some(pause) = lookup::pause(status, field("retry-after")) {
            self.shared.throttle(call, pause);
        }
        self.shared.answer(call, &answer, is_lost);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Self::setup() {
            Ok(setup) => {
                let period = setup.config.lookup.timeout.checked_div(10).unwrap_or_default().clamp(TICKS.0, TICKS.1);
                self.shared.configure(setup);
                if let Err(error) = self.shared.ticks.begin(period) {
                    host::log(Level::Critical, &format!("jobscope: no clock, so no deadlines: {error}"));
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
