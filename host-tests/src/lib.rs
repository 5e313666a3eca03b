//! What the tests and the demo are made of: a proxy-wasm host, the stack around a real Envoy, the demo's story, the
//! reader of hostile requests, and real readers beside it.

pub mod demo;
pub mod host;
pub mod hostile;
pub mod oracle;
pub mod stack;
