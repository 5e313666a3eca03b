//! What the tests and the demo are made of: a proxy-wasm host, the stack around a real Envoy, the demo's story, the
//! readers of hostile requests and of what a forge decides, and real readers beside them.

pub mod conformance;
pub mod demo;
pub mod host;
pub mod hostile;
pub mod oracle;
pub mod rows;
pub mod stack;
