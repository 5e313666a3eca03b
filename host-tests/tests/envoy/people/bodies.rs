//! What people send: bodies of each type in each size, and odder ones. None holds a job token.

use axum::body::Bytes;

/// A type of content.
pub(crate) struct Content {
    pub(crate) name: &'static str,
    /// What the head says of it.
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// Its beginning, what is repeated, and its end.
    parts: (&'static str, &'static str, &'static str),
}

pub(crate) const SIZES: [(&str, usize); 4] = [("0", 0), ("100 B", 100), ("1.5 MiB", 3 << 19), ("3 MiB", 3 << 20)];

pub(crate) const TYPES: [Content; 5] = [
    Content { name: "no type", fields: &[], parts: ("PK\u{3}\u{4}", "\u{0}\u{7f}binary\r\n", "end") },
    Content {
        name: "form",
        fields: &[("content-type", "application/x-www-form-urlencoded")],
        parts: ("title=A+title&description=", "50%25+of%20it+", "&labels%5B%5D=bug"),
    },
    Content {
        name: "JSON",
        fields: &[("content-type", "application/json")],
        parts: (r#"{"title":"A","actions":[{"path":"a.b","content":""#, r"line of {}[],: text\n", r#""}]}"#),
    },
    Content {
        name: "multipart",
        fields: &[("content-type", "multipart/form-data; boundary=b")],
        parts: (
            "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n",
            "--a line of a file\r\n",
            "\r\n--b--\r\n",
        ),
    },
    Content {
        name: "octets",
        fields: &[("content-type", "application/octet-stream")],
        parts: ("\u{7f}ELF", "{\"a\":1}&b=c\u{0}", "end"),
    },
];

impl Content {
    /// A body of this size.
    pub(crate) fn make(&self, size: usize) -> Bytes {
        let (begin, repeated, end) = self.parts;
        let Some(room) = size.checked_sub(begin.len() + end.len()) else { return Bytes::new() };
        let mut body = Vec::with_capacity(size);
        body.extend_from_slice(begin.as_bytes());
        for _ in 0..room / repeated.len() {
            body.extend_from_slice(repeated.as_bytes());
        }
        body.resize(size - end.len(), b'x');
        body.extend_from_slice(end.as_bytes());
        body.into()
    }
}

/// A body that a reader may stumble over.
pub(crate) struct Odd {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static [u8],
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded")];

pub(crate) const ODD: [Odd; 26] = [
    Odd { name: "a JSON list", fields: JSON, body: br#"[{"id":1},{"id":2}]"# },
    Odd { name: "a JSON text", fields: JSON, body: br#""just a text""# },
    Odd { name: "JSON that ends early", fields: JSON, body: br#"{"title":"a","# },
    Odd { name: "JSON with a name twice", fields: JSON, body: br#"{"title":"a","title":"b"}"# },
    Odd { name: "JSON with a number that is too large", fields: JSON, body: br#"{"weight":1e999}"# },
    Odd { name: "JSON that is not UTF-8", fields: JSON, body: b"{\"title\":\"caf\xe9\"}" },
    Odd { name: "JSON behind a byte order mark", fields: JSON, body: b"\xef\xbb\xbf{\"title\":\"a\"}" },
    Odd { name: "JSON with a lone surrogate", fields: JSON, body: br#"{"title":"\ud83d"}"# },
    Odd { name: "JSON with `token` of a person's", fields: JSON, body: br#"{"token":"glpat-dana","ref":"main"}"# },
    Odd {
        name: "JSON with `token` that is no text",
        fields: JSON,
        body: br#"{"token":{"name":"deploy","scopes":["api"]}}"#,
    },
    Odd {
        name: "JSON about the mark",
        fields: JSON,
        body: br#"{"title":"tokens with glcbt- in front","variables":{"PREFIX":"glcbt-"}}"#,
    },
    Odd {
        name: "JSON in UTF-16",
        fields: &[("content-type", "application/json; charset=utf-16")],
        body: b"\xff\xfe{\0\"\0a\0\"\0:\x001\0}\0",
    },
    Odd { name: "text/json", fields: &[("content-type", "text/json")], body: br#"{"title":"a"}"# },
    Odd {
        name: "application/vnd.api+json",
        fields: &[("content-type", "application/vnd.api+json")],
        body: br#"{"data":{}}"#,
    },
    Odd { name: "JSON without a type", fields: &[], body: br#"{"title":"a"}"# },
    Odd { name: "a form without a type", fields: &[], body: b"title=a&description=b" },
    Odd { name: "a form with stray percent signs", fields: FORM, body: b"title=100%&description=50%+off%zz" },
    Odd { name: "a form with a semicolon", fields: FORM, body: b"title=a;b&description=c;d" },
    Odd { name: "a form that is not UTF-8", fields: FORM, body: b"title=caf%e9&d=\xe9" },
    Odd { name: "a form with a name twice", fields: FORM, body: b"title=a&title=b&token=&token=" },
    Odd { name: "a form about the mark", fields: FORM, body: b"title=what+is+glcbt-+for&token=word" },
    Odd {
        name: "a gzip form",
        fields: &[("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip")],
        body: b"\x1f\x8b\x08\0\0\0\0\0\0\x03+N-*K-\xb2\x05\0\xd3\xb4\x9c\x0e\x09\0\0\0",
    },
    Odd {
        name: "gzip JSON",
        fields: &[("content-type", "application/json"), ("content-encoding", "gzip")],
        body: b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV*\xc9,\xc9IU\xb2RJT\xaa\x05\0\x9a\x1c\x0e\x09\x0d\0\0\0",
    },
    Odd {
        name: "multipart/mixed",
        fields: &[("content-type", "multipart/mixed; boundary=b")],
        body: b"--b\r\ncontent-type: application/json\r\n\r\n{}\r\n--b--\r\n",
    },
    Odd {
        name: "multipart without its end",
        fields: &[("content-type", "multipart/form-data; boundary=b")],
        body: b"--b\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello",
    },
    Odd {
        name: "multipart without a boundary",
        fields: &[("content-type", "multipart/form-data")],
        body: b"--b\r\n\r\nhello\r\n--b--\r\n",
    },
];
