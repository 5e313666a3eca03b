//! A request as Envoy hands it to a filter.

use crate::host::{self, Header, RequestHead};

/// A request as the filter meets it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The head; whether a body follows is said there too.
    pub head: RequestHead,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Message {
    /// The head as the filter sees it: names in lower case, fields that Envoy stores once joined.
    pub fn fields(&self) -> Vec<Header> {
        self.head.as_stored()
    }

    /// The request for the test host, the body in pieces.
    pub fn request(&self) -> host::Request {
        let mut pieces: Vec<Vec<u8>> = self.body.chunks(64 << 10).map(<[u8]>::to_vec).collect();
        if pieces.is_empty() && !self.head.end_of_stream {
            pieces.push(Vec::new());
        }
        host::Request { head: self.head.clone(), body: pieces }
    }
}
