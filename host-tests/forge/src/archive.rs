//! Archives without compression: enough for a job's artifacts, and for packages.

use std::collections::BTreeMap;

/// The archive of these files.
pub fn zip(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (name, content) in files {
        let offset = size(out.len());
        let mut common = Vec::new();
        // Version 2.0, no flags, stored, and the first date a zip can hold.
        for short in [20u16, 0, 0, 0, 0x21] {
            common.extend(short.to_le_bytes());
        }
        common.extend(checksum(content.as_bytes()).to_le_bytes());
        common.extend(size(content.len()).to_le_bytes());
        common.extend(size(content.len()).to_le_bytes());
        common.extend(short(name.len()).to_le_bytes());
        common.extend([0, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(content.as_bytes());
        // Made by version 2.0 on Unix; no comment, first disk, a regular file rw-r--r--.
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((0o100_644u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, length, count) = (size(out.len()), size(directory.len()), short(files.len()));
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// The archive of these files that npm takes: tar (POSIX.1-1988) in gzip (RFC 1952).
pub fn tar_gz(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = [0u8; 512];
        let mut put = |at: usize, text: &str| {
            if let Some(field) = header.get_mut(at..at + text.len()) {
                field.copy_from_slice(text.as_bytes());
            }
        };
        put(0, name);
        put(100, "0000644\0");
        put(108, "0000000\0");
        put(116, "0000000\0");
        put(124, &format!("{:011o}\0", content.len()));
        put(136, "00000000000\0");
        // The checksum counts as blanks in its own sum.
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut out = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let last = tar.len().div_ceil(0xFFFF).saturating_sub(1);
    for (at, block) in tar.chunks(0xFFFF).enumerate() {
        out.push(u8::from(at == last));
        out.extend(short(block.len()).to_le_bytes());
        out.extend((!short(block.len())).to_le_bytes());
        out.extend(block);
    }
    out.extend(checksum(&tar).to_le_bytes());
    out.extend(size(tar.len()).to_le_bytes());
    out
}

// Artifacts come out of a world file a person wrote: they are far below these limits.
fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// CRC-32 as zip and gzip use it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
    }
}
