//! A `multipart/form-data` body, read strictly: what clients write, and nothing that two readers read apart.
//!
//! The reader is fed in pieces of whatever size and keeps no more of them than a boundary or the header of a part, so
//! that a large upload can be looked through while it streams.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use memchr::{memchr_iter, memmem};

use super::malformed::Malformed;
use super::params::{self, Pairs};

/// The longest header of a part.
const HEAD_LIMIT: usize = 4096;

/// How a boundary or a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// A boundary without quotes, a name in quotes: what most clients write.
    Usual,
    /// The other way round, as .NET does. Every reader that is known takes it for the same.
    Other,
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A parameter.
    Field,
    /// A file, which has a name of its own.
    File,
}

/// The header of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub name: &'a str,
    pub spelling: Spelling,
    pub kind: Kind,
}

/// Who is told of the parts. An error ends the reading.
pub(crate) trait Visit {
    /// A part begins.
    fn part(&mut self, part: &Part<'_>) -> Result<(), Malformed>;
    /// More of its content.
    fn content(&mut self, bytes: &[u8]) -> Result<(), Malformed>;
    /// It ends.
    fn end(&mut self) -> Result<(), Malformed>;
}

/// The boundary of a `multipart/form-data` content type. One plain parameter, nothing else.
pub(crate) fn boundary(content_type: &[u8]) -> Result<(Vec<u8>, Spelling), Malformed> {
    let text = core::str::from_utf8(content_type).map_err(|_| Malformed::MultipartSyntax)?;
    let (media, parameter) = text.split_once(';').ok_or(Malformed::MultipartSyntax)?;
    let value = parameter.trim().strip_prefix("boundary=").ok_or(Malformed::MultipartSyntax)?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let (value, spelling) = quoted.map_or((value, Spelling::Usual), |value| (value, Spelling::Other));
    let sound = media.trim().eq_ignore_ascii_case("multipart/form-data")
        && (1..=70).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'\''));
    if sound { Ok((value.as_bytes().to_vec(), spelling)) } else { Err(Malformed::MultipartSyntax) }
}

/// Names and values of the parts of a whole body. The content of a file has its name but no value.
pub(crate) fn fields(boundary: &[u8], body: &[u8]) -> Result<Pairs, Malformed> {
    let mut fields = Fields { pairs: Pairs::new(), value: None };
    let mut reader = Reader::new(boundary);
    reader.feed(body, &mut fields)?;
    reader.finish()?;
    Ok(fields.pairs)
}

struct Fields {
    pairs: Pairs,
    /// The value of the field that is being read.
    value: Option<Vec<u8>>,
}

impl Visit for Fields {
    fn part(&mut self, part: &Part<'_>) -> Result<(), Malformed> {
        if part.spelling == Spelling::Other {
            return Err(Malformed::MultipartSyntax);
        }
        self.value = (part.kind == Kind::Field).then(Vec::new);
        self.pairs.push((part.name.to_string(), String::new()));
        Ok(())
    }

    fn content(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.value.iter_mut().for_each(|value| value.extend_from_slice(bytes));
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let text = String::from_utf8(self.value.take().unwrap_or_default()).map_err(|_| Malformed::MultipartSyntax)?;
        self.pairs.iter_mut().last().map(|(_, value)| *value = text).ok_or(Malformed::MultipartSyntax)
    }
}

/// Reads a body as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    delimiter: Delimiter,
    /// What came and was not read yet: less than a delimiter, or than the header of a part.
    rest: Vec<u8>,
    place: Place,
}

/// Two dashes and the boundary, with what finds them made ready once.
#[derive(Debug, Clone)]
struct Delimiter(memmem::Finder<'static>);

impl Delimiter {
    fn new(boundary: &[u8]) -> Self {
        Self(memmem::Finder::new(&[b"--", boundary].concat()).into_owned())
    }

    fn bytes(&self) -> &[u8] {
        self.0.needle()
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        self.0.find(text)
    }
}

impl PartialEq for Delimiter {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Delimiter {}

/// Where in the body a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first delimiter. Nothing may stand there.
    Start,
    /// After a delimiter.
    Delimiter,
    /// In the header of a part.
    Head,
    /// In its content.
    Content,
    /// After the last delimiter. A line may end there, and nothing may follow.
    End,
}

impl Reader {
    /// A reader of a body with this boundary.
    pub(crate) fn new(boundary: &[u8]) -> Self {
        Self { delimiter: Delimiter::new(boundary), rest: Vec::new(), place: Place::Start }
    }

    /// Reads on, as far as it can be told.
    pub(crate) fn feed(&mut self, bytes: &[u8], visit: &mut impl Visit) -> Result<(), Malformed> {
        let mut text = core::mem::take(&mut self.rest);
        text.extend_from_slice(bytes);
        let mut rest = text.as_slice();
        loop {
            match self.step(rest, visit) {
                Ok(Some((next, after))) => (self.place, rest) = (next, after),
                Ok(None) => break,
                Err(malformed) => {
                    self.rest = rest.to_vec();
                    return Err(malformed);
                }
            }
        }
        if self.place == Place::Content {
            // A delimiter may have begun, with the line end that belongs to it.
            let kept = rest.len().min(self.delimiter.bytes().len().saturating_add(1));
            let (content, tail) = rest.split_at_checked(rest.len().saturating_sub(kept)).unwrap_or((b"", rest));
            visit.content(content)?;
            rest = tail;
        }
        self.rest = rest.to_vec();
        Ok(())
    }

    /// What came and was not read.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.rest
    }

    /// The body is over: all of it was read, down to the last delimiter.
    pub(crate) fn finish(&self) -> Result<(), Malformed> {
        let is_whole = self.place == Place::End && matches!(self.rest.as_slice(), b"" | b"\r\n");
        if is_whole { Ok(()) } else { Err(Malformed::MultipartSyntax) }
    }

    /// Reads up to the next place. `None` when more must come first.
    fn step<'a>(&self, text: &'a [u8], visit: &mut impl Visit) -> Result<Option<(Place, &'a [u8])>, Malformed> {
        match self.place {
            Place::Start => after(text, self.delimiter.bytes(), Place::Delimiter),
            Place::Delimiter if text.starts_with(b"-") => after(text, b"--", Place::End),
            Place::Delimiter => after(text, b"\r\n", Place::Head),
            Place::Head => {
                let end = memchr_iter(b'\r', text.get(..HEAD_LIMIT.saturating_add(4)).unwrap_or(text))
                    .find(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(b"\r\n\r\n")));
                // The end may have begun.
                if end.unwrap_or(text.len().saturating_sub(3)) > HEAD_LIMIT {
                    return Err(Malformed::MultipartSyntax);
                }
                let Some((head, content)) = end.and_then(|end| text.split_at_checked(end)) else { return Ok(None) };
                visit.part(&part(head)?)?;
                after(content, b"\r\n\r\n", Place::Content)
            }
            Place::Content => {
                // Some readers take a delimiter for one that does not begin a line (Rack 2), so there may be none.
                let end = self.delimiter.find(text);
                let Some((content, rest)) = end.and_then(|at| text.split_at_checked(at)) else { return Ok(None) };
                visit.content(content.strip_suffix(b"\r\n").ok_or(Malformed::MultipartSyntax)?)?;
                visit.end()?;
                after(rest, self.delimiter.bytes(), Place::Delimiter)
            }
            Place::End if b"\r\n".starts_with(text) => Ok(None),
            Place::End => Err(Malformed::MultipartSyntax),
        }
    }
}

/// What follows `expected`, with the place that it leads to; `None` when not all of it is here yet.
fn after<'a>(text: &'a [u8], expected: &[u8], place: Place) -> Result<Option<(Place, &'a [u8])>, Malformed> {
    match text.strip_prefix(expected) {
        Some(rest) => Ok(Some((place, rest))),
        None if expected.starts_with(text) => Ok(None),
        None => Err(Malformed::MultipartSyntax),
    }
}

/// Reads the header of a part. Whatever else than the plain fields some reader takes a name from.
fn part(head: &[u8]) -> Result<Part<'_>, Malformed> {
    let head = core::str::from_utf8(head).map_err(|_| Malformed::MultipartSyntax)?;
    let mut disposition = None;
    let mut rest = Some(head);
    while let Some(lines) = rest {
        let (line, after) = match lines.split_once('\n') {
            Some((line, after)) => (line.strip_suffix('\r').ok_or(Malformed::MultipartSyntax)?, Some(after)),
            None => (lines, None),
        };
        rest = after;
        let (name, value) = line.split_once(':').ok_or(Malformed::MultipartSyntax)?;
        let value = value.trim_matches(' ');
        let is = |known| name.eq_ignore_ascii_case(known);
        let known = match () {
            () if is("content-disposition") => disposition.replace(value).is_none(),
            // Rack looks for a disposition anywhere in the head.
            () if is("content-type") => !value.contains(':'),
            // What changes nothing.
            () if is("content-transfer-encoding") => {
                ["7bit", "8bit", "binary"].iter().any(|known| value.eq_ignore_ascii_case(known))
            }
            // OkHttp and multipart-post write it. No reader goes by it: a part ends at its delimiter.
            () if is("content-length") => value.bytes().all(|b| b.is_ascii_digit()),
            () => false,
        };
        // Another field, a folded line, or a second disposition.
        if !known || value.bytes().any(|b| b.is_ascii_control()) {
            return Err(Malformed::MultipartSyntax);
        }
    }
    disposition.and_then(name).ok_or(Malformed::MultipartSyntax)
}

/// Reads `form-data; name="a"`, with a file's name behind it or none.
fn name(disposition: &str) -> Option<Part<'_>> {
    let parameters = disposition.strip_prefix("form-data;")?.trim_start_matches(' ');
    let (name, spelling, after) = parameter(parameters, "name=")?;
    let part = |kind| Part { name, spelling, kind };
    // Readers make up a name where there is none.
    if name.is_empty() {
        return None;
    }
    let Some(file) = next(after) else { return after.is_empty().then(|| part(Kind::Field)) };
    // The name of the file again, for names that are not ASCII.
    let rest = match after_file_name(file) {
        Some(rest) => match next(rest) {
            None => return rest.is_empty().then(|| part(Kind::File)),
            Some(more) => more,
        },
        None => file,
    };
    let (charset, again) = rest.strip_prefix("filename*=")?.split_once("''")?;
    // Whatever else stood before the quotes would be a parameter to Rack, another name perhaps.
    let is_plain = |text: &str, more: &[u8]| text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b));
    (is_plain(charset, b"-_") && is_plain(again, b"%.-_")).then(|| part(Kind::File))
}

/// What follows the name of a file. Nobody reads it here, but some reader may take what stands in it for parameters: then
/// there is an equals sign, in percent-encoding perhaps. A quote behind a backslash does not end it.
fn after_file_name(text: &str) -> Option<&str> {
    let Some(quoted) = text.strip_prefix("filename=\"") else {
        return parameter(text, "filename=").map(|(_, _, after)| after);
    };
    let mut is_escaped = false;
    let (value, after) = quoted.split_once(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    let is_plain = !value.contains(ESCAPES) || !params::generous(value.as_bytes()).contains('=');
    is_plain.then_some(after)
}

/// The parameter behind a semicolon.
fn next(text: &str) -> Option<&str> {
    Some(text.strip_prefix(';')?.trim_start_matches(' '))
}

/// A backslash or a percent sign in a value is an escape to some reader, and a semicolon the end of the parameter to Rack,
/// which takes the last `name=` that it finds.
const ESCAPES: [char; 3] = ['\\', '%', ';'];

/// `key"value"` or `key` and a word, and what follows.
fn parameter<'a>(text: &'a str, key: &str) -> Option<(&'a str, Spelling, &'a str)> {
    let text = text.strip_prefix(key)?;
    if let Some(quoted) = text.strip_prefix('"') {
        let (value, after) = quoted.split_once('"')?;
        return (!value.contains(ESCAPES)).then_some((value, Spelling::Usual, after));
    }
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let end = text.bytes().position(|b| !is_word(b)).unwrap_or(text.len());
    let (value, after) = text.split_at_checked(end)?;
    Some((value, Spelling::Other, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;
    use std::{format, vec};

    /// Writes down what it is told; a content in whatever pieces is one.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Notes(Vec<(String, Vec<u8>)>, usize);

    impl Visit for Notes {
        fn part(&mut self, part: &Part<'_>) -> Result<(), Malformed> {
            self.0.push((format!("{part:?}"), Vec::new()));
            Ok(())
        }

        fn content(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
            self.0.last_mut().unwrap().1.extend_from_slice(bytes);
            Ok(())
        }

        fn end(&mut self) -> Result<(), Malformed> {
            self.1 += 1;
            Ok(())
        }
    }

    fn notes(pieces: &[&[u8]]) -> Result<Notes, Malformed> {
        let (mut reader, mut notes) = (Reader::new(b"b"), Notes::default());
        for piece in pieces {
            reader.feed(piece, &mut notes)?;
            assert!(reader.rest.len() <= HEAD_LIMIT + 4, "it keeps {} bytes", reader.rest.len());
        }
        reader.finish().map(|()| notes)
    }

    #[test]
    fn what_curl_writes_is_read() {
        let (boundary, _) = boundary(b"multipart/form-data; boundary=----c").unwrap();
        let body = b"------c\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nglcbt-x\r\n------c\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\"\r\nContent-Type: text/plain\r\n\r\n\xff\r\n------c--\r\n";
        assert_eq!(fields(&boundary, body).unwrap(), [("token".into(), "glcbt-x".into()), ("f".into(), String::new())]);
    }

    #[test]
    fn a_part_may_say_its_length_and_ends_at_its_delimiter() {
        let body = |length: &str| {
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Length: {length}\r\n\r\nglcbt-x\r\n--b--\r\n"
            )
        };
        for length in ["7", "0", "99"] {
            assert_eq!(
                fields(b"b", body(length).as_bytes()).unwrap(),
                [("token".into(), "glcbt-x".into())],
                "{length}"
            );
        }
        for length in ["7; name=job_token", "-1", "7 7"] {
            assert_eq!(fields(b"b", body(length).as_bytes()), Err(Malformed::MultipartSyntax), "{length}");
        }
    }

    #[test]
    fn what_dotnet_writes_is_read_where_it_streams() {
        assert_eq!(boundary(b"multipart/form-data; boundary=\"b-1\"").unwrap(), (b"b-1".to_vec(), Spelling::Other));
        let body = "--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; name=package; filename=p.nupkg; filename*=utf-8''p.nupkg\r\n\r\nx\r\n--b--\r\n";
        let seen = notes(&[body.as_bytes()]).unwrap();
        assert_eq!(seen.0, [("Part { name: \"package\", spelling: Other, kind: File }".to_string(), b"x".to_vec())]);
        assert_eq!(fields(b"b", body.as_bytes()), Err(Malformed::MultipartSyntax));
    }

    #[test]
    fn a_files_name_is_what_runners_write_and_no_parameter_to_any_reader() {
        let read = |disposition: &str| {
            let body =
                format!("--b\r\nContent-Disposition: form-data; name=\"file\"; {disposition}\r\n\r\nx\r\n--b--\r\n");
            notes(&[body.as_bytes()]).map(|notes| notes.0[0].0.clone())
        };
        for name in [
            "a.zip",
            "coverage 100%.zip",
            "a;b.zip",
            r#"say \"hi\".zip"#,
            r"a\\b.zip",
            "test: [x, y].zip",
            "a=b.zip",
            "",
        ] {
            for disposition in [format!("filename=\"{name}\""), format!("filename=\"{name}\"; filename*=utf-8''a%20b")]
            {
                let part = read(&disposition);
                assert_eq!(
                    part.as_deref(),
                    Ok("Part { name: \"file\", spelling: Usual, kind: File }"),
                    "{disposition}"
                );
            }
        }
        for name in [
            "a; name=job_token",
            "a%3B name%3djob_token",
            r#"a\"; name=\"job_token"#,
            r"a\; name=job_token",
            "a%22; name=x",
            r"a\",
            r#"a" b"#,
            r#"a\\"; name="token"#,
        ] {
            assert_eq!(read(&format!("filename=\"{name}\"")), Err(Malformed::MultipartSyntax), "{name}");
        }
    }

    #[test]
    fn what_two_readers_read_apart_is_refused() {
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/mixed; boundary=a",
            "multipart/form-data; charset=x; boundary=a",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=a b",
        ] {
            assert!(boundary(content_type.as_bytes()).is_err(), "{content_type}");
        }
        let head = "--b\r\nContent-Disposition: form-data; name=\"a\"";
        for body in [
            format!("{head}; name=\"token\"\r\n\r\nx\r\n--b--"),
            "--b\r\nContent-Disposition: form-data;\r\n name=\"token\"\r\n\r\nx\r\n--b--".into(),
            format!("{head};\r\n\tname=\"token\"\r\n\r\nx\r\n--b--"),
            "--b\r\nContent-ID: token\r\n\r\nx\r\n--b--".into(),
            format!("{head}\r\nContent-ID: token\r\n\r\nx\r\n--b--"),
            format!("{head}\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--"),
            format!("{head}; filename*=utf-8''a; name=\"token\"\r\n\r\nx\r\n--b--"),
            format!("{head}; filename*=x; name=\"token\"; y''a\r\n\r\nx\r\n--b--"),
            format!("{head}; filename=\"f\"; filename*=x; name=token; y''a\r\n\r\nx\r\n--b--"),
            "--b\r\nContent-Disposition: form-data; name=\"\"; filename=\"token\"\r\n\r\nx\r\n--b--".into(),
            "--b\r\nContent-Disposition: form-data; name*=utf-8''token\r\n\r\nx\r\n--b--".into(),
            "--b\r\nContent-Disposition: form-data; name=\"x; name=job_token\"\r\n\r\nx\r\n--b--".into(),
            format!("{head}; filename=\"x; name=job_token\"\r\n\r\nx\r\n--b--"),
            format!(
                "--b\r\nContent-Type: a; Content-Disposition:x; name=job_token\r\n{}\r\n\r\nx\r\n--b--",
                &head[5..]
            ),
            "--b\r\nContent-Disposition: form-data; name=\"t\\oken\"\r\n\r\nx\r\n--b--".into(),
            "--b\r\nContent-Disposition: form-data; name=\"a\0\"\r\n\r\nx\r\n--b--".into(),
            "preamble\r\n--b\r\n\r\n--b--".into(),
            "\r\n--b--".into(),
            format!("{head}\r\n\r\nx"),
            format!("{head}\r\n\r\nx--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\ny\r\n--b--"),
            format!("{head}\r\n\r\nx\n--b--"),
            format!("{head}\r\n\r\n--b--"),
            format!("{head}\r\n\r\nx\r\n--bc\r\n--b--"),
            format!("{head}\r\n\r\nx\r\n--b \r\n\r\n--b--"),
            format!("{head}\r\n\r\nx\r\n--b--\r\nepilogue"),
            format!("{head}\r\nContent-Type: {}\r\n\r\nx\r\n--b--", "x".repeat(HEAD_LIMIT)),
            String::new(),
        ] {
            assert_eq!(notes(&[body.as_bytes()]), Err(Malformed::MultipartSyntax), "{body}");
            assert_eq!(fields(b"b", body.as_bytes()), Err(Malformed::MultipartSyntax), "{body}");
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_are_read_as_one(
            words in proptest::collection::vec(proptest::sample::select(vec![
                "--b", "--b\r\n", "\r\n--b\r\n", "\r\n--b--", "--", "-", "b", "\r", "\n", "\r\n", "\r\n\r\n", "x",
                "Content-Disposition: form-data; name=\"a\"", "; filename=\"f\"", "Content-Type: text/plain",
            ]), 0..24),
            whole in any::<bool>(),
            cuts in proptest::collection::vec(0_usize..400, 0..4),
        ) {
            let mut body = words.concat();
            if whole {
                body = format!("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{}\r\n--b--\r\n", body.replace('b', "c"));
            }
            let body = body.as_bytes();
            let expected = notes(&[body]);
            prop_assert!(!whole || expected.is_ok());
            for at in 0..=body.len() {
                prop_assert_eq!(&notes(&[&body[..at], &body[at..]]), &expected, "cut at {}", at);
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(body.len())).collect();
            cuts.extend([0, body.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            prop_assert_eq!(notes(&pieces), expected);
        }
    }
}
