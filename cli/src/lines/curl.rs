//! `curl`: the options that make a request, those that do not matter to it, and no others.

use super::url::{Url, basic, encoded};
use super::{LineError, Setting};
use crate::request::Request;

/// What an option does to the request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Header,
    Method,
    Data(Data),
    Field,
    Upload,
    Login,
    Bearer,
    Agent,
    Referer,
    Cookie,
    Head,
    Get,
    Address,
    /// Nothing, with a value.
    Takes,
    /// Nothing, without one.
    Stands,
}

/// How the value of an option becomes a piece of the body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    /// Of a file, where it begins with `@`; without line ends.
    Text,
    /// Of a file, as it is.
    Binary,
    /// As it is, whatever it begins with.
    Raw,
    Encoded,
    Json,
}

/// Long name, letter or none, what it does.
const OPTIONS: &[(&str, Option<char>, Does)] = &[
    ("header", Some('H'), Does::Header),
    ("request", Some('X'), Does::Method),
    ("data", Some('d'), Does::Data(Data::Text)),
    ("data-ascii", None, Does::Data(Data::Text)),
    ("data-binary", None, Does::Data(Data::Binary)),
    ("data-raw", None, Does::Data(Data::Raw)),
    ("data-urlencode", None, Does::Data(Data::Encoded)),
    ("json", None, Does::Data(Data::Json)),
    ("form", Some('F'), Does::Field),
    ("form-string", None, Does::Field),
    ("upload-file", Some('T'), Does::Upload),
    ("user", Some('u'), Does::Login),
    ("oauth2-bearer", None, Does::Bearer),
    ("user-agent", Some('A'), Does::Agent),
    ("referer", Some('e'), Does::Referer),
    ("cookie", Some('b'), Does::Cookie),
    ("head", Some('I'), Does::Head),
    ("get", Some('G'), Does::Get),
    ("url", None, Does::Address),
    ("cacert", None, Does::Takes),
    ("capath", None, Does::Takes),
    ("cert", Some('E'), Does::Takes),
    ("connect-timeout", None, Does::Takes),
    ("connect-to", None, Does::Takes),
    ("cookie-jar", Some('c'), Does::Takes),
    ("dump-header", Some('D'), Does::Takes),
    ("key", None, Does::Takes),
    ("limit-rate", None, Does::Takes),
    ("max-filesize", None, Does::Takes),
    ("max-redirs", None, Does::Takes),
    ("max-time", Some('m'), Does::Takes),
    ("noproxy", None, Does::Takes),
    ("output", Some('o'), Does::Takes),
    ("output-dir", None, Does::Takes),
    ("proxy", Some('x'), Does::Takes),
    ("resolve", None, Does::Takes),
    ("retry", None, Does::Takes),
    ("retry-delay", None, Does::Takes),
    ("retry-max-time", None, Does::Takes),
    ("stderr", None, Does::Takes),
    ("write-out", Some('w'), Does::Takes),
    ("basic", None, Does::Stands),
    ("compressed", None, Does::Stands),
    ("create-dirs", None, Does::Stands),
    ("fail", Some('f'), Does::Stands),
    ("fail-with-body", None, Does::Stands),
    ("globoff", Some('g'), Does::Stands),
    ("http1.1", None, Does::Stands),
    ("http2", None, Does::Stands),
    ("include", Some('i'), Does::Stands),
    ("insecure", Some('k'), Does::Stands),
    ("ipv4", Some('4'), Does::Stands),
    ("ipv6", Some('6'), Does::Stands),
    ("location", Some('L'), Does::Stands),
    ("location-trusted", None, Does::Stands),
    ("no-buffer", Some('N'), Does::Stands),
    ("no-progress-meter", None, Does::Stands),
    ("path-as-is", None, Does::Stands),
    ("progress-bar", Some('#'), Does::Stands),
    ("remote-header-name", Some('J'), Does::Stands),
    ("remote-name", Some('O'), Does::Stands),
    ("retry-all-errors", None, Does::Stands),
    ("retry-connrefused", None, Does::Stands),
    ("show-error", Some('S'), Does::Stands),
    ("silent", Some('s'), Does::Stands),
    ("tlsv1.2", None, Does::Stands),
    ("tlsv1.3", None, Does::Stands),
    ("verbose", Some('v'), Does::Stands),
];

/// Where the parts of a form are set off; any text that does not stand in them.
const BOUNDARY: &str = "------------------------jobscope0000000000";

/// A line, as far as it was read.
#[derive(Default)]
struct Line {
    address: Option<String>,
    method: Option<String>,
    headers: Vec<(String, String)>,
    login: Option<String>,
    data: Option<Vec<u8>>,
    is_json: bool,
    form: Vec<u8>,
    upload: Option<(String, Vec<u8>)>,
    is_head: bool,
    is_get: bool,
}

pub(super) fn requests(words: &[String], setting: &Setting<'_>) -> Result<Vec<Request>, LineError> {
    let mut line = Line::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().map(String::as_str);
        if let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) {
            let does = OPTIONS.iter().find(|(known, ..)| *known == name).map(|(.., does)| *does);
            line.take(does.ok_or_else(|| unknown(word))?, word, &mut next, setting)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            line.letters(letters, &mut next, setting)?;
        } else {
            line.address(word)?;
        }
    }
    line.request().map(|request| vec![request])
}

fn unknown(option: &str) -> LineError {
    LineError::Option { program: "curl", option: option.to_owned() }
}

impl Line {
    /// Letters behind one dash: the first that takes a value takes the rest for it.
    fn letters<'a>(
        &mut self,
        letters: &'a str,
        next: &mut dyn FnMut() -> Option<&'a str>,
        setting: &Setting<'_>,
    ) -> Result<(), LineError> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let option = format!("-{letter}");
            let known = OPTIONS.iter().find(|(_, known, _)| *known == Some(letter));
            let does = known.map(|(.., does)| *does).ok_or_else(|| unknown(&option))?;
            if matches!(does, Does::Head | Does::Get | Does::Stands) {
                self.take(does, &option, &mut || None, setting)?;
                continue;
            }
            let value = rest.as_str();
            return match value {
                "" => self.take(does, &option, next, setting),
                value => self.take(does, &option, &mut || Some(value), setting),
            };
        }
        Ok(())
    }

    fn take<'a>(
        &mut self,
        does: Does,
        option: &str,
        next: &mut dyn FnMut() -> Option<&'a str>,
        setting: &Setting<'_>,
    ) -> Result<(), LineError> {
        let mut value = || next().ok_or_else(|| LineError::Value(option.to_owned()));
        match does {
            Does::Header => {
                let field = value()?;
                // `Name:` takes a field of curl's own out, `Name;` sends one without a value.
                let (name, value) = match (field.split_once(':'), field.strip_suffix(';')) {
                    (Some((name, value)), _) => (name, value.trim()),
                    (None, Some(name)) => (name, ""),
                    (None, None) => return Ok(()),
                };
                if !value.is_empty() || field.ends_with(';') {
                    self.headers.push((name.to_owned(), value.to_owned()));
                }
            }
            Does::Method => self.method = Some(value()?.to_owned()),
            Does::Data(kind) => {
                self.is_json |= kind == Data::Json;
                let piece = piece(kind, value()?, setting)?;
                let data = self.data.get_or_insert_default();
                if !data.is_empty() && kind != Data::Json {
                    data.push(b'&');
                }
                data.extend(piece);
            }
            Does::Field => self.field(option, value()?, setting)?,
            Does::Upload => {
                let name = value()?;
                self.upload = Some((name.to_owned(), file(name, setting)?));
            }
            Does::Login => self.login = Some(basic(value()?)),
            Does::Bearer => self.login = Some(format!("Bearer {}", value()?)),
            Does::Agent => self.headers.push(("user-agent".to_owned(), value()?.to_owned())),
            Does::Referer => self.headers.push(("referer".to_owned(), value()?.to_owned())),
            Does::Cookie => self.headers.push(("cookie".to_owned(), value()?.to_owned())),
            Does::Head => self.is_head = true,
            Does::Get => self.is_get = true,
            Does::Address => self.address(value()?)?,
            Does::Takes => {
                value()?;
            }
            Does::Stands => {}
        }
        Ok(())
    }

    fn address(&mut self, word: &str) -> Result<(), LineError> {
        match &self.address {
            None => self.address = Some(word.to_owned()),
            Some(_) => {
                let expected = "one address";
                return Err(LineError::Command { expected, found: word.to_owned() });
            }
        }
        Ok(())
    }

    /// One part of a form.
    fn field(&mut self, option: &str, value: &str, setting: &Setting<'_>) -> Result<(), LineError> {
        let (name, value) = value.split_once('=').ok_or_else(|| LineError::Value(option.to_owned()))?;
        let named = if option == "--form-string" { None } else { value.strip_prefix('@') };
        let mut part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"").into_bytes();
        let content = match (named, value.strip_prefix('<')) {
            (Some(path), _) => {
                let path = path.split(';').next().unwrap_or_default();
                let end = path.rsplit('/').next().unwrap_or_default();
                part.extend(format!("; filename=\"{end}\"\r\nContent-Type: application/octet-stream").into_bytes());
                file(path, setting)?
            }
            (None, Some(path)) if option != "--form-string" => file(path, setting)?,
            (None, _) => value.as_bytes().to_vec(),
        };
        part.extend(b"\r\n\r\n");
        part.extend(content);
        part.extend(b"\r\n");
        self.form.extend(part);
        Ok(())
    }

    fn request(self) -> Result<Request, LineError> {
        let address = self.address.ok_or_else(|| LineError::Address("no address".to_owned()))?;
        // Without a scheme curl takes HTTP.
        let url = Url::parse(&if address.contains("://") { address } else { format!("http://{address}") })?;
        let login = self.login.or_else(|| url.login.as_deref().map(basic));
        let mut target = without_dots(&url.target);
        let has_form = !self.form.is_empty();
        let mut body = None;
        let mut media = None;
        if has_form {
            let mut form = self.form;
            form.extend(format!("--{BOUNDARY}--\r\n").into_bytes());
            body = Some(form);
            media = Some(format!("multipart/form-data; boundary={BOUNDARY}"));
        } else if let Some((name, content)) = self.upload {
            if target.ends_with('/') {
                target.push_str(name.rsplit('/').next().unwrap_or_default());
            }
            body = Some(content);
        } else if let Some(data) = self.data {
            if self.is_get {
                target.push(if target.contains('?') { '&' } else { '?' });
                target.push_str(&String::from_utf8_lossy(&data));
            } else {
                body = Some(data);
                media = Some(
                    if self.is_json { "application/json" } else { "application/x-www-form-urlencoded" }.to_owned(),
                );
            }
        }
        let is_upload = body.is_some() && media.is_none();
        let usual = match (self.is_head, &body) {
            (true, _) => "HEAD",
            (false, Some(_)) if is_upload => "PUT",
            (false, Some(_)) => "POST",
            (false, None) => "GET",
        };
        let mut request = Request::new(self.method.as_deref().unwrap_or(usual), &url.authority, &target);
        let has = |name: &str| self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let own = [
            ("authorization", login),
            ("user-agent", Some("curl/8.14.1".into())),
            ("accept", Some(if self.is_json { "application/json" } else { "*/*" }.into())),
            ("content-type", media),
        ];
        for (name, value) in own.into_iter().filter(|(name, _)| !has(name)) {
            request = value.into_iter().fold(request, |request, value| request.with(name, &value));
        }
        for (name, value) in &self.headers {
            if name.eq_ignore_ascii_case("host") {
                request.authority.clone_from(value);
            } else {
                request = request.with(name, value);
            }
        }
        request.body = body;
        Ok(request)
    }
}

fn file(name: &str, setting: &Setting<'_>) -> Result<Vec<u8>, LineError> {
    (setting.file)(name).ok_or_else(|| LineError::File(name.to_owned()))
}

fn piece(kind: Data, value: &str, setting: &Setting<'_>) -> Result<Vec<u8>, LineError> {
    let named = value.strip_prefix('@');
    Ok(match (kind, named) {
        (Data::Text, Some(name)) => {
            file(name, setting)?.into_iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)).collect()
        }
        (Data::Binary | Data::Json, Some(name)) => file(name, setting)?,
        (Data::Encoded, _) => {
            let (name, content) = match value.split_once('=') {
                Some(("", content)) => (String::new(), content),
                Some((name, content)) => (format!("{name}="), content),
                None => (String::new(), value),
            };
            [name.into_bytes(), encoded(content).into_bytes()].concat()
        }
        (Data::Text | Data::Binary | Data::Raw | Data::Json, _) => value.as_bytes().to_vec(),
    })
}

/// Before it sends a path curl goes up where that has `/../`.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at_checked(target.find('?').unwrap_or(target.len())).unwrap_or((target, ""));
    let mut kept: Vec<&str> = Vec::new();
    let ends_in_dots = path.ends_with("/.") || path.ends_with("/..");
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let slash = if ends_in_dots && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}{query}", kept.join("/"))
}
