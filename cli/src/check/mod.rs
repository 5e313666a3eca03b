//! What is wrong with a configuration, with what Envoy is told around it, and with the names in it.

mod envoy;
mod looks;
mod names;
mod rows;
mod secrets;
mod slots;

use crate::finding::{NotFound, Written, nowhere, written};
use crate::marked::Node;
use crate::setup::Setup;
use policy::config::{ConfigError, ConfigErrors};

pub use names::{Names, Noun};
pub use rows::{ROWS, Row};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The filter refuses it, or what it protects is given up.
    Error,
    /// It is legal, and probably not meant; or it depends on what stands in front.
    Warning,
    /// It cannot be seen in the file.
    Unseen,
}

impl Weight {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Unseen => "unseen",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub weight: Weight,
    /// The line in the file.
    pub line: u64,
    /// What it is about: a path in the configuration, or a setting of SECURITY.md's table.
    pub about: String,
    /// What is wrong.
    pub text: String,
}

/// Everything that is found in the documents of a file, in the order of its lines.
///
/// # Errors
/// There is no configuration in them.
pub fn check(documents: &[Node], names: Option<&dyn Names>) -> Result<Vec<Finding>, NotFound> {
    let all = written(documents);
    if all.is_empty() {
        return Err(nowhere(documents));
    }
    let mut findings: Vec<Finding> = all.iter().flat_map(|one| of_one(one, documents, names)).collect();
    findings.sort_by_key(|one| (one.line, one.weight));
    findings.dedup();
    Ok(findings)
}

fn of_one(one: &Written<'_>, documents: &[Node], names: Option<&dyn Names>) -> Vec<Finding> {
    let setup = one.setup();
    let mut findings = of_configuration(one, &setup, names);
    match envoy::Site::of(one, documents, setup.ok()) {
        Some(site) => findings.extend(rows::findings(&site)),
        None => findings.push(Finding {
            weight: Weight::Unseen,
            line: one.line_of(""),
            about: "What must be configured in Envoy, SECURITY.md".to_owned(),
            text: "Envoy's own settings around the filter are not in this file".to_owned(),
        }),
    }
    findings
}

/// What is found in a configuration alone, whatever stands around it.
#[must_use]
pub fn of_configuration(
    one: &Written<'_>,
    setup: &Result<Setup, ConfigErrors>,
    names: Option<&dyn Names>,
) -> Vec<Finding> {
    let mut findings = match setup {
        Ok(setup) => {
            let warning = |warning: &policy::config::Warning| Finding {
                weight: Weight::Warning,
                line: one.line_of(&warning.path),
                about: warning.path.clone(),
                text: warning.text.clone(),
            };
            setup.config.warnings.iter().map(warning).collect()
        }
        Err(errors) => of_errors(one, errors),
    };
    findings.extend(names.into_iter().flat_map(|names| names::unknown(one, names)));
    findings
}

/// The errors of a configuration, each with its line.
#[must_use]
pub fn of_errors(one: &Written<'_>, errors: &ConfigErrors) -> Vec<Finding> {
    let finding = |error: &ConfigError| {
        let (path, said) = (path_of(error), error.to_string());
        let text = said.strip_prefix(path).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&said);
        Finding { weight: Weight::Error, line: one.line_of(path), about: path.to_owned(), text: text.to_owned() }
    };
    errors.0.iter().map(finding).collect()
}

/// The path in the document that an error is about.
fn path_of(error: &ConfigError) -> &str {
    match error {
        ConfigError::Document { .. } | ConfigError::Nothing => "",
        ConfigError::Unknown { path, .. } | ConfigError::Twice { path } => path,
        ConfigError::Missing { path, .. } | ConfigError::Value { path, .. } => path,
    }
}
