//! What the fuzz targets share: a request written as text, ways to change it, and what must hold of how it is read.
//!
//! An input is a request in plain text (see [`Message`]), so that a seed, a finding and what reproduces it can be read
//! and edited. Nothing here uses a parser of the reader's own: a mistake there must not be made here too.

mod claims;
mod message;
mod mutation;
pub mod payload;
mod rendering;

pub use libfuzzer_sys;
pub use message::Message;
pub use mutation::mutate;

/// What a fuzz target looks at: where it starts from, and whose words it splices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Git over HTTP.
    Git,
    /// Git LFS.
    Lfs,
    /// The container registry.
    Registry,
    /// The registry's token endpoint.
    RegistryToken,
    /// The REST API.
    Api,
    /// The part of the REST API that runners speak.
    Runner,
    /// Credentials in the head.
    Credential,
    /// Bodies with parameters.
    Body,
    /// All of them at once: what one protocol's reader may take for another's.
    Differential,
}

/// Reads a request and fails where something does not hold.
pub fn check(text: &[u8]) {
    let message = Message::parse(text);
    let reading = message.read();
    claims::check(&message, &reading);
    rendering::check(&message, &reading);
}

/// The program of one fuzz target.
#[macro_export]
macro_rules! target {
    ($subject:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|text: &[u8]| $crate::check(text));

        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            match $crate::mutate($crate::Subject::$subject, &data[..size], max_size, seed) {
                Some(text) => {
                    data[..text.len()].copy_from_slice(&text);
                    text.len()
                }
                None => $crate::libfuzzer_sys::fuzzer_mutate(data, size, max_size),
            }
        });
    };
}
