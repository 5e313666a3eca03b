//! What the tests and the demo are made of: a proxy-wasm host, the stack around a real Envoy, the demo's story, the
//! runner of the files of cases, real readers beside the filter, the soak that watches memory, and the
//! forge of many jobs that it needs, traffic in crowds, and the measurements beside other filters and of a fleet.

pub mod behaviours;
pub mod bench;
pub mod cases;
pub mod demo;
pub mod factory;
pub mod fleet;
pub mod host;
pub mod oracle;
pub mod soak;
pub mod stack;
pub mod traffic;
