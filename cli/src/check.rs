//! What is wrong with a configuration.

use policy::config::ConfigError;

/// The path in the document that an error is about.
#[must_use]
pub fn path_of(error: &ConfigError) -> &str {
    match error {
        ConfigError::Document { .. } | ConfigError::Nothing => "",
        ConfigError::Unknown { path, .. } | ConfigError::Twice { path } => path,
        ConfigError::Missing { path, .. } | ConfigError::Value { path, .. } => path,
    }
}
