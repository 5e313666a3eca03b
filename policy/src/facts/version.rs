//! A version of the forge.

use core::fmt;

/// Major and minor number of a version, earlier ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16);

impl Version {
    /// Later than every version that is known here.
    pub const NEWEST: Self = Self(u16::MAX, 0);

    /// `18.8`, or `18.8.2-ee`: what stands behind the minor number changes nothing that is asked here.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain)
        };
        let (major, rest) = text.split_once('.')?;
        let minor = rest.split(['.', '-']).next()?;
        Some(Self(number(major)?, number(minor)?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_ordered_by_its_numbers() {
        assert!(Version::parse("18.10") > Version::parse("18.9"));
        assert!(Version::parse("19.0.1-ee") > Version::parse("18.11.3"));
        assert!(Version::parse("19.4.0-pre") < Some(Version::NEWEST));
        for bad in ["", "18", "18.", ".8", "v18.8", "18.x", "+18.8", "18,8", "99999.1"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}
