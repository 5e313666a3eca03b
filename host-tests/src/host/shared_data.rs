//! Shared data: one map for all VMs, which never forgets a key.

use std::collections::BTreeMap;

use super::hostcall::Status;

/// The process-wide key-value store.
#[derive(Debug, Default)]
pub struct SharedData {
    entries: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
}

impl SharedData {
    /// A key's value and its number for compare-and-swap; none if never set.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<(&[u8], u32)> {
        let (value, cas) = self.entries.get(key.as_ref())?;
        Some((value, *cas))
    }

    /// Sets a value. `cas` 0 means without comparing, and, as in Envoy, so does
    /// any number when the key does not exist.
    pub fn set(&mut self, key: impl AsRef<[u8]>, value: &[u8], cas: u32) -> Result<(), Status> {
        if let Some((_, current)) = self.entries.get(key.as_ref())
            && cas != 0
            && cas != *current
        {
            return Err(Status::CasMismatch);
        }
        self.last_cas += 1;
        self.entries.insert(key.as_ref().to_vec(), (value.to_vec(), self.last_cas));
        Ok(())
    }

    /// How many keys there are; they only ever become more.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The size of all keys and values together.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(key, (value, _))| key.len() + value.len()).sum()
    }

    /// Every key, in order.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.keys().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cas_guards_an_existing_key_only() {
        let mut data = SharedData::default();
        assert_eq!(data.set("key", b"one", 4242), Ok(()));
        let (_, first) = data.get("key").unwrap();
        assert_eq!(data.set("key", b"two", first), Ok(()));
        assert_eq!(data.set("key", b"three", first), Err(Status::CasMismatch));
        let (value, second) = data.get("key").unwrap();
        assert_eq!(value, b"two");
        assert!(second > first);
        assert_eq!(data.set("key", b"", 0), Ok(()));
        assert_eq!((data.len(), data.bytes()), (1, 3));
        assert_eq!(data.get("other"), None);
    }
}
