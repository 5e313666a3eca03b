//! A configuration and its document, and what must not be shown of either.

use policy::Config;
use policy::config::ConfigErrors;
use serde_json::Value;

/// A configuration that was read, and the document that it was read from.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The document, as JSON.
    pub document: Value,
    /// What it means.
    pub config: Config,
}

impl Setup {
    /// Reads a document.
    ///
    /// # Errors
    /// Every error of the document, each with its path.
    pub fn of(document: Value) -> Result<Self, ConfigErrors> {
        let config = Config::parse(document.to_string().as_bytes())?;
        Ok(Self { document, config })
    }
}

/// How secrets begin: the marks of the forge's tokens, a JWT, and the schemes behind which one stands.
pub(crate) const MARKS: [&str; 16] = [
    "glagent-", "glcbt-", "gldt-", "glffct-", "glft-", "glimt-", "gloas-", "glpat-", "glptt-", "glrt-", "glrtr-",
    "glsoat-", "glwt-", "eyJ", "Basic ", "Bearer ",
];

/// Behind which names secrets stand, whatever they look like.
const NAMES: [&str; 4] = ["token=", "password=", "secret=", "://"];

/// A text in which whatever looks like a secret is replaced.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_within = shown.ends_with(|c: char| c.is_ascii_alphanumeric());
        let marked = MARKS.iter().filter(|_| !is_within).find_map(|mark| after_secret(rest.strip_prefix(mark)?));
        let named = NAMES.iter().find_map(|name| Some((*name, after_named(name, rest.strip_prefix(name)?)?)));
        match (marked, named) {
            (Some(after), _) => {
                shown.push_str("[secret]");
                rest = after;
            }
            (None, Some((name, after))) => {
                shown.push_str(name);
                shown.push_str("[secret]");
                rest = after;
            }
            (None, None) => {
                shown.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    shown
}

/// What stands behind a secret of which this is the part behind its mark; `None` where that is empty.
pub(crate) fn after_secret(text: &str) -> Option<&str> {
    let is_of_secret = |c: char| c.is_ascii_alphanumeric() || "-_.=+/~%".contains(c);
    let after = text.trim_start_matches(is_of_secret);
    (after.len() < text.len()).then_some(after)
}

/// What stands behind a secret that stands behind a name: of an address the login, else all up to the next field.
pub(crate) fn after_named<'a>(name: &str, text: &'a str) -> Option<&'a str> {
    let is_address = name == "://";
    let ends = if is_address { "`\"'/?#" } else { "`\"'&" };
    let end = text.find(|c: char| c.is_whitespace() || ends.contains(c));
    let field = text.get(..end.unwrap_or(text.len()))?;
    let secret = match field.rfind('@') {
        _ if !is_address => field.len(),
        Some(at) => at,
        // A login whose end was cut off.
        None if is_login(field) => field.len(),
        None => return None,
    };
    text.get(secret..).filter(|_| secret > 0)
}

/// Whether what stands before an address's path is no host with a port.
fn is_login(field: &str) -> bool {
    let behind = field.split_once(':').filter(|_| !field.starts_with('['));
    behind.is_some_and(|(_, port)| port.contains(char::is_alphabetic) && !port.starts_with(['{', '$', '%', '<']))
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn what_looks_like_a_secret_is_not_shown() {
        for (text, shown) in [
            ("job_token=glcbt-64_abcDEF&a=b", "job_token=[secret]&a=b"),
            ("/x?private_token=abc&token=&y", "/x?private_token=[secret]&token=&y"),
            ("`https://dana:p4ss@f.invalid/a@b`", "`https://[secret]@f.invalid/a@b`"),
            ("https://f.invalid/a@b", "https://f.invalid/a@b"),
            ("`\"https://dana:p4ss...`", "`\"https://[secret]`"),
            ("https://dana:4&pass... https://dana:4&pass@f", "https://[secret] https://[secret]@f"),
            ("https://f.invalid:$PORT/a https://{host}:{port}", "https://f.invalid:$PORT/a https://{host}:{port}"),
            ("https://f.invalid:8443/a https://[::1]:8443", "https://f.invalid:8443/a https://[::1]:8443"),
            ("http://f.invalid: refused", "http://f.invalid: refused"),
            ("a glpat-x_y, b", "a [secret], b"),
            ("authorization: Basic Zm9vOmJhcg==", "authorization: [secret]"),
            ("Bearer abc", "[secret]"),
            ("x=eyJhbGciOi.eyJzdWIi.c2ln&y", "x=[secret]&y"),
            ("/apps/glossary/gl-x/xeyJx", "/apps/glossary/gl-x/xeyJx"),
            ("Basic ", "Basic "),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
