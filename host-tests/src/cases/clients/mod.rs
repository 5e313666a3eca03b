//! Requests that real clients sent, each read by the core and by the compiled filter in two worlds: one that allows what it
//! asks, and one that does not.
//!
//! The rows stand in `cases/client-requests.jsonl`; what goes on in no world, in `cases/client-exceptions.yaml`, by kind.

mod document;
mod filter;
mod message;
mod run;
mod world;

pub use document::Expected;
pub use run::Clients;
