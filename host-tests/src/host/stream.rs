//! One HTTP stream: what is known of it on each side of the filter.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::maps::{Header, HeaderMap};

/// Names a stream of a [`Host`](super::Host).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(super) u32);

/// A request's head, as a client sends it.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// All headers, pseudo-headers included. Nothing is added, so `:path` may be
    /// missing; names are lower-cased and `host` becomes `:authority`.
    pub headers: Vec<Header>,
    /// Whether no body follows.
    pub end_of_stream: bool,
    /// The client's address, as `ip:port`; none for the usual one.
    pub source: Option<String>,
}

impl RequestHead {
    /// A head with the four pseudo-headers, and no body to follow.
    pub fn new(method: &str, authority: &str, path: &str) -> Self {
        let head = RequestHead { end_of_stream: true, ..RequestHead::default() };
        head.header(":method", method).header(":scheme", "https").header(":authority", authority).header(":path", path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Removes every header of that name, a pseudo-header for one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    /// The headers as a filter sees them: names in lower case, pseudo-headers
    /// first, and what Envoy stores once joined.
    pub fn as_stored(&self) -> Vec<Header> {
        HeaderMap::new(&self.headers).pairs().to_vec()
    }

    /// Says which address it comes from.
    #[must_use]
    pub fn sent_from(mut self, address: &str) -> Self {
        self.source = Some(address.to_owned());
        self
    }

    /// Says that a body follows.
    #[must_use]
    pub fn with_body(mut self) -> Self {
        self.end_of_stream = false;
        self
    }
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It waits: nothing went upstream, nobody answered. A paused stream of a VM
    /// that trapped stays so for ever.
    Paused,
    /// It went upstream, if perhaps not all of its body did yet.
    Forwarded {
        /// The headers the upstream received.
        headers: Vec<Header>,
        /// The body the upstream received so far.
        body: Vec<u8>,
        /// Whether the request is complete there.
        ended: bool,
    },
    /// The filter answered it, or the host did on the way (413).
    Replied(Reply),
    /// The stream was reset.
    Reset,
    /// The VM trapped in a callback of this stream, or had trapped before: the
    /// client got 503 with details `wasm_fail_stream`.
    Failed,
}

impl Outcome {
    /// The first value of a header that went upstream, as text; none also if
    /// nothing did.
    pub fn forwarded_header(&self, name: &str) -> Option<String> {
        match self {
            Outcome::Forwarded { headers, .. } => header(headers, name),
            Outcome::Paused | Outcome::Replied(_) | Outcome::Reset | Outcome::Failed => None,
        }
    }

    /// The reply, if there was one.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Outcome::Replied(reply) => Some(reply),
            Outcome::Paused | Outcome::Forwarded { .. } | Outcome::Reset | Outcome::Failed => None,
        }
    }
}

/// A local reply, as it entered the response path.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u32,
    /// The headers, without `:status`.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// The response code details for the access log.
    pub details: String,
}

impl Reply {
    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A response as the client saw it so far.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Downstream {
    /// The headers, `:status` included.
    pub headers: Vec<Header>,
    /// The body received so far.
    pub body: Vec<u8>,
    /// Whether the response is complete.
    pub ended: bool,
}

impl Downstream {
    /// The status code.
    pub fn status(&self) -> Option<u32> {
        self.header(":status")?.parse().ok()
    }

    /// The first value of a header, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.headers, name)
    }
}

fn header(headers: &[Header], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(known, _)| known == name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Bytes as text, for messages of failing tests.
struct Text<'a>(&'a [u8]);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Headers as lines of text.
struct Lines<'a>(&'a [Header]);

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (Text(name), Text(value)))).finish()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Paused => f.write_str("Paused"),
            Outcome::Forwarded { headers, body, ended } => f
                .debug_struct("Forwarded")
                .field("headers", &Lines(headers))
                .field("body", &Text(body))
                .field("ended", ended)
                .finish(),
            Outcome::Replied(reply) => f.debug_tuple("Replied").field(reply).finish(),
            Outcome::Reset => f.write_str("Reset"),
            Outcome::Failed => f.write_str("Failed"),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &Lines(&self.headers))
            .field("body", &Text(&self.body))
            .field("details", &self.details)
            .finish()
    }
}

impl fmt::Debug for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Downstream")
            .field("headers", &Lines(&self.headers))
            .field("body", &Text(&self.body))
            .field("ended", &self.ended)
            .finish()
    }
}

/// The two ways through the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Where one way stands, in the words of Envoy's filter manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Iteration {
    #[default]
    Continue,
    /// The filter still gets body callbacks.
    StopSingle,
    /// It gets nothing until it resumes; what arrives is held back.
    StopAll,
}

/// One way through the filter.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// The headers as the filter has left them; none before they came.
    pub(super) headers: Option<HeaderMap>,
    /// Whether the filter can reach them: from their callback until it, or the
    /// stream, continues.
    pub(super) map_open: bool,
    pub(super) iteration: Iteration,
    /// How many bytes of the body came, shown or not.
    pub(super) came: usize,
    /// The headers have gone on behind the filter.
    pub(super) headers_continued: bool,
    /// All of the message has come.
    pub(super) complete: bool,
    /// What came while everything is stopped.
    pub(super) held: VecDeque<(Vec<u8>, bool)>,
    /// Trailers that came while everything is stopped.
    pub(super) held_trailers: Option<HeaderMap>,
    /// Trailers that the filter has seen and that have not gone on behind it.
    pub(super) trailers: Option<HeaderMap>,
    /// What the filter had the host keep for it.
    pub(super) buffered: Option<Vec<u8>>,
    /// The body callback's buffer is `buffered`, not `chunk`.
    pub(super) buffering: bool,
    /// The chunk in a body callback.
    pub(super) chunk: Option<Vec<u8>>,
    /// What is behind the filter.
    pub(super) out: Downstream,
    pub(super) out_trailers: Vec<Header>,
}

impl Way {
    /// The body that the filter sees now.
    pub(super) fn body(&self) -> &[u8] {
        let body = if self.buffering { &self.buffered } else { &self.chunk };
        body.as_deref().unwrap_or_default()
    }

    pub(super) fn body_mut(&mut self) -> Option<&mut Vec<u8>> {
        if self.buffering { self.buffered.as_mut() } else { self.chunk.as_mut() }
    }
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) vm: usize,
    pub(super) context: u32,
    pub(super) root: u32,
    pub(super) request: Way,
    pub(super) response: Way,
    /// Inside a request callback: a local reply waits for its end.
    pub(super) deciding: bool,
    pub(super) prepared: Option<Reply>,
    /// The filter has sent its one local reply.
    pub(super) reply_sent: bool,
    /// The request goes no further, as there was a local reply.
    pub(super) aborted: bool,
    pub(super) replied: Option<Reply>,
    pub(super) failed: bool,
    pub(super) reset: bool,
    pub(super) finished: bool,
    /// The request's head by which its route was chosen last: at first the one that came.
    pub(super) routed_by: Option<HeaderMap>,
    /// The filter wrote these.
    pub(super) properties: BTreeMap<String, Vec<u8>>,
    /// The filter may read these.
    pub(super) readable: BTreeMap<String, Vec<u8>>,
}

impl Stream {
    pub(super) fn new(vm: usize, context: u32, root: u32) -> Self {
        let source = ("source.address".to_owned(), b"192.0.2.1:40000".to_vec());
        Stream {
            vm,
            context,
            root,
            request: Way::default(),
            response: Way::default(),
            deciding: false,
            prepared: None,
            reply_sent: false,
            aborted: false,
            replied: None,
            failed: false,
            reset: false,
            finished: false,
            routed_by: None,
            properties: BTreeMap::new(),
            readable: BTreeMap::from([source]),
        }
    }

    pub(super) fn way(&self, side: Side) -> &Way {
        match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        }
    }

    pub(super) fn way_mut(&mut self, side: Side) -> &mut Way {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        if self.failed {
            Outcome::Failed
        } else if self.reset {
            Outcome::Reset
        } else if let Some(reply) = &self.replied {
            Outcome::Replied(reply.clone())
        } else if self.request.headers_continued {
            let Downstream { headers, body, ended } = self.request.out.clone();
            Outcome::Forwarded { headers, body, ended }
        } else {
            Outcome::Paused
        }
    }
}
