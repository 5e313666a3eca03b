//! What the documents show is what the code does.

mod configuration;
mod security;
mod token_lookup;
