//! `jobscope verify`.

use std::path::Path;

use serde_json::json;

use super::arguments::Verify;
use super::print::{HEADING, out, out_json, styled, word, wrapped};
use super::signed::{Bundle, Key, Sums, sha256};
use super::{End, Fault, files};

/// One thing that was looked at: what, and what came of it.
struct Look {
    what: &'static str,
    came: Result<String, String>,
}

pub(crate) fn run(asked: &Verify) -> Result<End, Fault> {
    let bytes = files::bytes(&asked.wasm)?;
    let sum = sha256(&bytes);
    let mut looks = Vec::new();
    if let Some(file) = &asked.sums {
        let sums = Sums::parse(&files::text(file)?).map_err(|why| fault(file, &why))?;
        let name = asked.wasm.file_name().unwrap_or_default().to_string_lossy();
        let listed = |name| format!("`{name}` in {}", file.display());
        looks.push(Look {
            what: "sums",
            came: sums.check(&name, &sum).map(listed).map_err(|why| format!("{}: {why}", file.display())),
        });
    }
    if let (Some(bundle), Some(key)) = (&asked.signature, &asked.key) {
        let signature = Bundle::parse(&files::bytes(bundle)?).map_err(|why| fault(bundle, &why))?;
        let signer = Key::parse(&files::text(key)?).map_err(|why| fault(key, &why))?;
        let came = signature.check(&signer, &bytes).map(|()| format!("by the key in {}", key.display()));
        looks.push(Look { what: "signature", came: came.map_err(|why| format!("{} {why}", bundle.display())) });
    }
    let is_good = looks.iter().all(|look| look.came.is_ok());
    if asked.json {
        let each = |look: &Look| {
            let (Ok(text) | Err(text)) = &look.came;
            json!({"what": look.what, "passed": look.came.is_ok(), "text": text})
        };
        let looks: Vec<_> = looks.iter().map(each).collect();
        let found = json!({"verified": is_good, "sha256": sum, "bytes": bytes.len(), "looks": looks});
        out_json(&found)?;
    } else {
        let file = asked.wasm.display().to_string();
        let looks: String = looks.iter().map(shown).collect();
        out(&format!("{}  {} bytes\n  SHA-256 {sum}\n{looks}", styled(HEADING, &file), bytes.len()))?;
    }
    Ok(if is_good { End::Good } else { End::Bad })
}

fn shown(look: &Look) -> String {
    let (came, text) = match &look.came {
        Ok(text) => ("passed", text),
        Err(text) => ("failed", text),
    };
    let text = format!("{}: {text}", look.what);
    format!("  {}  {}\n", word(came), wrapped(&text, 10))
}

fn fault(file: &Path, why: &str) -> Fault {
    Fault(format!("{}: {why}", file.display()))
}
