//! What the documents show is what the code does.

mod configuration;
mod hosts;
mod security;
mod token_lookup;
