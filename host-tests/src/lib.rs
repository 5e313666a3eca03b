//! What the tests and the demo are made of: a proxy-wasm host, the stack around a real Envoy, the demo's story, the
//! readers of hostile requests and of what a forge decides, real readers beside them, the soak that watches memory, and the
//! forge of many jobs that it needs, and traffic in crowds.

pub mod behaviours;
pub mod clients;
pub mod conformance;
pub mod demo;
pub mod factory;
pub mod host;
pub mod hostile;
pub mod oracle;
pub mod rows;
pub mod soak;
pub mod stack;
pub mod traffic;
