//! A container image of one small file, made without any tool: the layout that `skopeo` calls `oci:`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The tag of the images of somebody's own world.
pub(super) const TAG: &str = "v1";

/// The name that a project's image can have; none for a path that no image can have.
pub(super) fn repository(path: &str) -> Option<String> {
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    Some(path.to_lowercase()).filter(|name| name.split(['/', '.', '_', '-']).all(is_plain))
}

/// Writes the image into `dir`, tagged `tag`.
///
/// # Errors
/// A file cannot be written.
pub fn write(dir: &Path, tag: &str) -> Result<()> {
    fs::create_dir_all(dir.join("blobs/sha256"))?;
    let layer = blob(dir, LAYER, &tar("hello.txt", b"hello from the demo's image\n"))?;
    let configuration = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        // A layer is named by the digest of its tar, which is how it is stored here.
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let configuration = blob(dir, CONFIGURATION, configuration.to_string().as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": configuration,
        "layers": [layer],
    });
    let mut manifest = blob(dir, MANIFEST, manifest.to_string().as_bytes())?;
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(dir.join("index.json"), index.to_string())?;
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(())
}

/// Stores a blob under its digest, and describes it.
fn blob(dir: &Path, media_type: &str, bytes: &[u8]) -> Result<Value> {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(dir.join("blobs/sha256").join(&hex), bytes)?;
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()}))
}

/// A tar archive (POSIX ustar) with one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut field = |at: usize, value: &str| {
        header[at..at + value.len()].copy_from_slice(value.as_bytes());
    };
    field(0, name);
    field(100, "0000644\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{:011o}\0", content.len()));
    field(136, "00000000000\0");
    // The checksum counts its own field as blanks.
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());

    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
    // Two empty blocks end an archive.
    archive.resize(archive.len() + 1024, 0);
    archive
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_path_that_no_image_can_have_is_left_out() {
        assert_eq!(repository("Apps/web-2/a.b_c").unwrap(), "apps/web-2/a.b_c");
        for path in ["apps/_x", "apps/a-", "apps//web", ""] {
            assert_eq!(repository(path), None, "{path}");
        }
    }

    #[test]
    fn tar_reads_the_layer() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("layer.tar"), tar("a.txt", b"text\n")).unwrap();
        let output = Command::new("tar")
            .args(["--extract", "--to-stdout", "--file=layer.tar"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"text\n", "{output:?}");
    }
}
