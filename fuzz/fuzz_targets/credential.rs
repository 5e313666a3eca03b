//! Every field and parameter that may carry a credential.
#![no_main]

jobscope_fuzz::target!(Credential);
