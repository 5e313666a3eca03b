//! A field that is `Bearer` and one JWT as its maker wrote it, which most clients of a registry send. Nearly all readers find
//! that and nothing else, so it need not be read in each of their ways.

use memchr::{memchr_iter, memchr2};

use super::{minted, readers, token};

/// What stands before the JWT.
const SCHEME: &[u8] = b"Bearer ";

/// Such a field, in which no reader finds a job's token.
#[derive(Clone, Copy)]
pub(crate) struct Bearer<'a> {
    /// Header and claims.
    signed: &'a [u8],
    /// Whether they are silent, where that is known.
    is_silent: Option<bool>,
}

/// How much of the JWT in such a field is signed, and whether that is silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent(usize, bool);

impl Extent {
    /// Looks at a field.
    pub(crate) fn of(value: &[u8]) -> Option<Self> {
        let bearer = Bearer::of(value)?;
        Some(Self(bearer.signed.len(), bearer.is_silent()))
    }

    /// The field again.
    pub(super) fn bearer(self, value: &[u8]) -> Option<Bearer<'_>> {
        let Self(length, is_silent) = self;
        Some(Bearer { signed: value.get(SCHEME.len()..)?.get(..length)?, is_silent: Some(is_silent) })
    }
}

impl<'a> Bearer<'a> {
    /// Looks at a field.
    pub(super) fn of(value: &'a [u8]) -> Option<Self> {
        Jwt::of(value).filter(|jwt| !jwt.may_be_jobs()).map(|jwt| Self { signed: jwt.signed, is_silent: None })
    }

    /// Header and claims, as they are written.
    pub(super) fn signed(self) -> &'a [u8] {
        self.signed
    }

    /// Whether it says nothing by which it may have been made from a job's token.
    pub(super) fn is_silent(self) -> bool {
        self.is_silent.unwrap_or_else(|| minted::is_silent(self.signed))
    }
}

/// The JWT in such a field, whatever is in it.
struct Jwt<'a> {
    all: &'a [u8],
    signed: &'a [u8],
}

impl<'a> Jwt<'a> {
    /// Reads the field: one blank, three parts in the letters of URLs, of which those that are signed have no other spelling.
    fn of(value: &'a [u8]) -> Option<Self> {
        let jwt = value.strip_prefix(SCHEME).filter(|jwt| jwt.starts_with(token::JWT))?;
        let mut dots = memchr_iter(b'.', jwt);
        let (first, second) = (dots.next()?, dots.next()?);
        let (signed, signature) = jwt.split_at_checked(second)?;
        let (header, claims) = signed.split_at_checked(first)?;
        let parts = [header, claims.get(1..)?, signature.get(1..)?];
        let is_plain = parts.into_iter().all(readers::are_letters)
            && memchr2(b'+', b'/', jwt).is_none()
            && parts.into_iter().take(2).all(readers::is_even);
        is_plain.then_some(Self { all: jwt, signed })
    }

    /// Whether some reader may find a job's token in it all the same: as it stands, in the claims, or where it takes all of it
    /// for a login. A job's user nobody finds: what it begins with is a brace to everyone.
    fn may_be_jobs(&self) -> bool {
        token::is_marked(self.all) || readers::may_hide_mark(self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::credential::may_hold_job_token;
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use std::format;
    use std::string::String;

    fn encoded(text: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode(text)
    }

    /// A JWT to the eye, and a login to who passes over its dots.
    fn dotted(login: impl AsRef<[u8]>) -> String {
        let text = encoded(login);
        format!("{}.{}.{}", &text[..8], &text[8..12], &text[12..])
    }

    #[test]
    fn whatever_hides_in_a_plain_jwt_is_told() {
        let wrapping = format!("eyJ9.{}.sig", encoded(r#"{"token":"glcbt-1"}"#));
        let with = |before: &[u8]| [b"{\"x\":", before, wrapping.as_bytes()].concat();
        // Who does not skip the one letter reads on with six bits too many.
        let odd = dotted(with(b"dana:")).replacen('.', "\n", 1).replacen('.', "._", 1).replace('\n', ".");
        for (what, jwt, [stands, is_spelled]) in [
            ("as it stands", "eyJ9.e30.glcbt-1".into(), [true, false]),
            ("in the claims", wrapping.clone(), [false, true]),
            ("in a login", dotted("{\"x\":\"dana:glcbt-1"), [false, true]),
            ("in a JWT in a login", dotted(with(b"dana:")), [false, false]),
            ("in one behind letters that one reader reads", dotted(with(b"\xff\xff\xff:")), [false, false]),
            ("in one behind a letter that one reader skips", odd, [false, false]),
        ] {
            let value = format!("Bearer {jwt}");
            assert_eq!(token::is_marked(jwt.as_bytes()), stands, "{what}");
            assert_eq!(readers::may_spell_mark(jwt.as_bytes()), is_spelled, "{what}");
            assert!(Jwt::of(value.as_bytes()).is_some_and(|jwt| jwt.may_be_jobs()), "{what}");
            assert!(may_hold_job_token(b"authorization", value.as_bytes()), "{what}");
        }
    }

    #[test]
    fn any_other_spelling_is_none() {
        let plain = format!("Bearer {}.{}.{}", encoded(r#"{"alg":"x"}"#), encoded(r#"{"sub":"7"}"#), encoded("??>>"));
        assert!(Bearer::of(plain.as_bytes()).is_some());
        for other in [
            plain.replacen("Bearer ", "bearer ", 1),
            plain.replacen("Bearer ", "Bearer  ", 1),
            plain.replacen("Bearer ", "Basic ", 1),
            plain.replacen('.', "..", 1),
            plain.replacen('.', "=.", 1),
            plain.replacen('.', "AA.", 1),
            plain.replacen('.', "", 1),
            plain.replace('-', "+"),
            format!("{plain} "),
            format!("{plain},"),
            format!("{plain}.x"),
            format!("{plain}="),
        ] {
            assert!(Jwt::of(other.as_bytes()).is_none(), "{other}");
        }
    }
}
