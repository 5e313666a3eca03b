//! A filter that does what a table says, on whatever host, and tells in the log what the host did.
//!
//! A request asks for `/NAME`, and the configuration says what is done under this name at each event. In wasm it speaks to
//! its host through the filter's own `abi` and `contexts`: the same two files, so what is seen here is what the filter sees.

#[cfg(target_family = "wasm")]
#[path = "../../../plugin/src/abi.rs"]
mod abi;
#[cfg(target_family = "wasm")]
#[path = "../../../plugin/src/contexts.rs"]
mod contexts;
#[cfg(target_family = "wasm")]
#[path = "../../../plugin/src/host.rs"]
#[allow(dead_code, unreachable_pub, reason = "the filter needs more of it")]
mod host;
#[cfg(target_family = "wasm")]
#[path = "../../../plugin/src/message.rs"]
#[allow(dead_code, reason = "the filter needs more of it")]
mod message;
#[cfg(target_family = "wasm")]
#[path = "../../../plugin/src/promises.rs"]
#[allow(dead_code, unreachable_pub, reason = "the filter needs more of it")]
mod promises;

mod commands;
mod worker;

#[cfg(not(target_family = "wasm"))]
use jobscope as host;
#[cfg(not(target_family = "wasm"))]
use jobscope as promises;

pub use worker::Worker;
