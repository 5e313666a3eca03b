//! A field that is `Bearer` and one JWT as its maker wrote it, which most clients of a registry send. Nearly all readers find
//! that and nothing else, so it need not be read in each of their ways.

use memchr::{memchr_iter, memchr2};

use super::{readers, token};

/// Such a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bearer<'a> {
    jwt: &'a [u8],
    /// Header and claims.
    signed: &'a [u8],
}

impl<'a> Bearer<'a> {
    /// Reads the field: one blank, three parts in the letters of URLs, of which those that are signed have no other spelling.
    pub(super) fn of(value: &'a [u8]) -> Option<Self> {
        let jwt = value.strip_prefix(b"Bearer ").filter(|jwt| jwt.starts_with(token::JWT))?;
        let mut dots = memchr_iter(b'.', jwt);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else { return None };
        let (signed, signature) = jwt.split_at_checked(second)?;
        let (header, claims) = signed.split_at_checked(first)?;
        let parts = [header, claims.get(1..)?, signature.get(1..)?];
        let is_plain = parts.into_iter().all(readers::are_letters)
            && memchr2(b'+', b'/', jwt).is_none()
            && parts.into_iter().take(2).all(readers::is_even);
        is_plain.then_some(Self { jwt, signed })
    }

    /// Header and claims, as they are written.
    pub(super) fn signed(self) -> &'a [u8] {
        self.signed
    }

    /// Whether some reader may find a job's token in it all the same: as it stands, in the claims, or where it takes all of it
    /// for a login. A job's user nobody finds: what it begins with is a brace to everyone.
    pub(super) fn may_be_jobs(self) -> bool {
        token::is_marked(self.jwt) || readers::may_hide_mark(self.jwt)
    }
}
