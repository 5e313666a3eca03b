//! The registry's token endpoint.
#![no_main]

jobscope_fuzz::target!(RegistryToken);
