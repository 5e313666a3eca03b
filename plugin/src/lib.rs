//! The jobscope filter: a thin shell around [`policy`]. It gathers what the access rules ask for, and does what they
//! say; it has no branch on policy.
//!
//! A panic in here traps the VM and takes other people's requests with it, so nothing unwraps, and the SDK's calls that
//! panic are not used: [`host`] has calls of its own.

mod answers;
mod carrying;
mod crowd;
mod document;
mod errands;
mod flights;
mod following;
mod host;
mod journal;
mod judging;
mod root;
mod shared;
mod store;
mod stream;
mod throttle;
mod ticks;
mod versions;
mod waking;
mod webhook;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

mod entry {
    use super::{LogLevel, RootContext, root};

    proxy_wasm::main! {{
        // Installs the panic hook, which writes what went wrong into Envoy's log.
        proxy_wasm::set_log_level(LogLevel::Warn);
        proxy_wasm::set_root_context(|context| -> Box<dyn RootContext> { Box::new(root::Root::new(context)) });
    }}
}
