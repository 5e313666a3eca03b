//! A body that is looked through as it streams by.
//!
//! Beside a token in the head the forge reads the fields of a form as parameters, a credential or another method among
//! them, and prefers some of them to the head. And what carries no job's token in its head may have one in its body. A body
//! can be of any size, so nothing of it is kept.

use super::look::Look;
use super::malformed::Malformed;
use super::multipart::{Kind, Part, Reader, Visit};
use super::{Refused, params, token};
use crate::facts::Secret;

/// Looks through a body. Each piece is to be fed before it goes on, and the end be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    way: Way,
    /// What is said where the body cannot go on.
    refused: Refused,
}

#[allow(clippy::large_enum_variant, reason = "a stream has one, and it is not worth an allocation of its own")]
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// A job's upload: nothing but what clients write.
    Strict(Reader, Watch),
    /// Somebody's body: whatever it is, unless a job's token stands in it, which is refused for this.
    Generous(Look),
}

impl Scan {
    /// Of a job's upload with this boundary. `same` is the token of the head where the body may say it again.
    pub(super) fn new(boundary: &[u8], same: Option<Secret>, refused: Refused) -> Self {
        Self { way: Way::Strict(Reader::new(boundary), Watch { same, said: None }), refused }
    }

    /// Of a body in which no job's token may stand, which is refused as this.
    pub(super) fn generous(look: Look, refused: Refused) -> Self {
        Self { way: Way::Generous(look), refused }
    }

    /// Looks at the next piece.
    ///
    /// # Errors
    /// The piece must not go on, and neither must anything behind it.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Refused> {
        match &mut self.way {
            Way::Strict(reader, watch) => reader.feed(piece, watch).map_err(|malformed| self.refuse(malformed)),
            Way::Generous(look) => {
                look.feed(piece);
                if look.has_found() { Err(self.refused.clone().by(token::marked(piece).as_ref())) } else { Ok(()) }
            }
        }
    }

    /// Whether nothing that still comes can matter.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.way {
            Way::Strict(..) => false,
            Way::Generous(look) => look.is_over(),
        }
    }

    /// The body is over.
    ///
    /// # Errors
    /// It ended before its last delimiter.
    pub fn finish(&self) -> Result<(), Refused> {
        match &self.way {
            Way::Strict(reader, _) => reader.finish().map_err(|malformed| self.refuse(malformed)),
            Way::Generous(..) => Ok(()),
        }
    }

    /// The body is over, and trailers follow.
    ///
    /// # Errors
    /// It is a job's.
    pub fn finish_with_trailers(&self) -> Result<(), Refused> {
        match &self.way {
            Way::Generous(..) if self.refused.token.is_none() => Ok(()),
            Way::Strict(..) | Way::Generous(..) => Err(self.refuse(Malformed::Trailers)),
        }
    }

    fn refuse(&self, malformed: Malformed) -> Refused {
        Refused { malformed, ..self.refused.clone() }
    }
}

/// What the parts may be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watch {
    same: Option<Secret>,
    /// How much of the token the part that is being read has said; `None` where it is another part.
    said: Option<usize>,
}

impl Visit for Watch {
    fn part(&mut self, part: &Part<'_>) -> Result<(), Malformed> {
        self.said = None;
        if params::is_spelling_of(part.name, "_method") {
            return Err(Malformed::Override);
        }
        if params::is_credential(part.name) {
            let may_say = self.same.is_some() && matches!(part.name, "token" | "job_token") && part.kind == Kind::Field;
            self.said = may_say.then_some(0);
            return if may_say { Ok(()) } else { Err(Malformed::HeadAndBody) };
        }
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let (Some(said), Some(token)) = (self.said, &self.same) else { return Ok(()) };
        let expected = token.expose().get(said..).unwrap_or_default();
        if !expected.starts_with(bytes) {
            return Err(Malformed::HeadAndBody);
        }
        self.said = Some(said.saturating_add(bytes.len()));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let (Some(said), Some(token)) = (self.said, &self.same) else { return Ok(()) };
        // Empty is absent.
        if said == 0 || said == token.expose().len() { Ok(()) } else { Err(Malformed::HeadAndBody) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Protocol;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    const TOKEN: &[u8] = b"glcbt-64_abc";

    fn upload(parts: &[(&str, &str)]) -> String {
        let parts: Vec<String> = parts
            .iter()
            .map(|(name, value)| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"))
            .collect();
        format!("{}--b--\r\n", parts.concat())
    }

    /// How many bytes go on when the upload comes in pieces of this size, and how it ends.
    fn scanned(body: &str, same: Option<Secret>, size: usize) -> (usize, Result<(), Malformed>) {
        let mut scan = Scan::new(b"b", same, Refused::new(Protocol::Runner, Malformed::MultipartSyntax));
        let mut passed = 0;
        for piece in body.as_bytes().chunks(size) {
            if let Err(refused) = scan.feed(piece) {
                return (passed, Err(refused.malformed));
            }
            passed += piece.len();
        }
        (passed, scan.finish().map_err(|refused| refused.malformed))
    }

    #[test]
    fn a_second_credential_does_not_go_on_however_the_upload_comes() {
        for name in ["token", "job_token", "[job_token]", "JOB-TOKEN", "private_token", "access_token[]", "password"] {
            let body = upload(&[("file", "content"), (name, "glcbt-other"), ("z", "")]);
            let secret = body.find("glcbt-other").unwrap();
            for size in 1..=body.len() {
                let (passed, end) = scanned(&body, None, size);
                assert_eq!(end, Err(Malformed::HeadAndBody), "{name} in pieces of {size}");
                assert!(passed <= secret, "{passed} bytes of {name} went on in pieces of {size}");
            }
        }
        for name in ["_method", "_METHOD", "[_method]"] {
            assert_eq!(scanned(&upload(&[(name, "PUT")]), None, 7).1, Err(Malformed::Override), "{name}");
        }
        assert_eq!(scanned(&upload(&[("file", "content"), ("tokens", "x")]), None, 7).1, Ok(()));
    }

    #[test]
    fn the_token_of_the_head_may_be_said_again_and_no_other() {
        let same = || Some(Secret::new(TOKEN));
        let says = |token: &str| upload(&[("file", "content"), ("token", token), ("expire_in", "")]);
        for size in 1..40 {
            assert_eq!(scanned(&says("glcbt-64_abc"), same(), size).1, Ok(()), "in pieces of {size}");
            for other in ["glcbt-64_abd", "glcbt-64_ab", "glcbt-64_abcd", "x"] {
                assert_eq!(scanned(&says(other), same(), size).1, Err(Malformed::HeadAndBody), "{other} by {size}");
            }
        }
        assert_eq!(scanned(&says(""), same(), 5).1, Ok(()));
        assert_eq!(scanned(&upload(&[("job_token", "glcbt-64_abc")]), same(), 5).1, Ok(()));
        assert_eq!(scanned(&upload(&[("password", "glcbt-64_abc")]), same(), 5).1, Err(Malformed::HeadAndBody));
    }

    #[test]
    fn an_upload_that_breaks_off_is_refused() {
        let body = upload(&[("file", "content")]);
        for end in 0..body.len() - 4 {
            assert_eq!(scanned(&body[..end], None, 11).1, Err(Malformed::MultipartSyntax), "after {end} bytes");
        }
    }
}
