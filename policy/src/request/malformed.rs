//! Why a request that carries a job token cannot be read.

macro_rules! malformed {
    ($($variant:ident $status:literal $code:literal $text:literal)*) => {
        /// Why a request that carries a job token is refused before anybody asks what the token may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Malformed { $(#[doc = $text] $variant,)* }

        impl Malformed {
            /// All of them with status, code and text.
            pub const ALL: &[(Self, u16, &'static str, &'static str)] = &[$((Self::$variant, $status, $code, $text),)*];

            /// The HTTP status of the answer.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The stable machine code.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What is wrong, in a sentence without the request's own bytes.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

malformed! {
    NoPath 400 "request.path-missing" "the request has no path"
    NoMethod 400 "request.method-missing" "the request has no method"
    Host 400 "http.host" "the Host is missing, doubled or not a host name"
    UnknownHost 403 "host.unknown" "this host is in neither list of the configuration"
    HeaderControl 400 "header.control" "a header that carries the token has bytes outside printable ASCII"
    DuplicateHeader 400 "header.duplicate" "a header that may stand once stands twice"
    Override 400 "method.override" "method overrides are not read"
    Sudo 400 "header.sudo" "a job token cannot act as another user"
    UrlRewrite 400 "header.url-rewrite" "headers that rewrite the URL are not read"
    InternalHeader 400 "header.internal" "this header belongs to the forge's own components"
    ConnectionToken 400 "header.connection-token" "the Connection header names a header that matters"
    Underscore 400 "header.underscore" "a header name with an underscore"
    Authorization 400 "authorization.syntax" "expected `Authorization: Basic <base64>` or `Bearer <token>` in their plain spelling"
    AuthorizationUser 401 "authorization.user" "a job token goes with the user name `gitlab-ci-token`"
    Multiple 400 "carrier.multiple" "expected one credential, found two"
    TwoHeaders 400 "carrier.two-headers" "two headers carry different credentials: send one of `Authorization`, `JOB-TOKEN` and `PRIVATE-TOKEN`"
    HeaderAndQuery 400 "carrier.header-and-query" "a header and the query carry different credentials: send one of them"
    HeadAndBody 400 "carrier.head-and-body" "the body carries another credential than the header or the query: send one of them"
    Carrier 400 "carrier.unsupported" "this kind of request does not take a job token in this place"
    PrivateToken 401 "carrier.private-token" "`PRIVATE-TOKEN` takes no job token: the API takes it as `JOB-TOKEN`"
    WebRoute 403 "carrier.web-route" "pages for people do not take job tokens"
    TooLong 400 "token.too-long" "a job token has at most 8192 bytes"
    Format 401 "token.unknown-format" "this cannot be a job token"
    MethodUnknown 405 "method.unknown" "this method is not one that the endpoint has"
    MethodSyntax 400 "method.syntax" "this is not a method"
    Asterisk 400 "request.asterisk-form" "the request target is not a path"
    EmptySegment 400 "path.empty-segment" "the path has an empty segment"
    DotSegment 400 "path.dot-segment" "the path has a dot segment"
    EncodedDotSegment 400 "path.encoded-dot-segment" "a dot is written as `%2E`: write `.`"
    TooDeep 414 "path.too-deep" "the path has more than 64 segments"
    TrailingSlash 400 "path.trailing-slash" "the path ends in a slash"
    EncodedSlash 400 "path.encoded-slash" "the path has an encoded slash where none belongs"
    Backslash 400 "path.backslash" "the path has a backslash"
    Semicolon 400 "path.semicolon" "the path has a semicolon"
    Fragment 400 "path.fragment" "the path has a number sign"
    Control 400 "path.control" "the path has a control character"
    IllegalChar 400 "path.illegal-char" "the path has a character that no endpoint uses"
    BadPercent 400 "path.bad-percent" "a percent sign that is not followed by two hexadecimal digits"
    DoubleEncoding 400 "path.double-encoding" "the path is percent-encoded twice"
    NeedlessEncoding 400 "path.needless-encoding" "a letter, a digit, `-`, `_` or `~` is percent-encoded (`%2D`, `%5F`, `%7E`): write it as it is"
    QuerySemicolon 400 "query.semicolon" "the query has a semicolon"
    QueryBracket 400 "query.bracket" "a name in the query that matters has brackets"
    QueryPercent 400 "query.bad-percent" "the query has a bad percent sign"
    QueryControl 400 "query.control" "the query has a control character"
    QueryDuplicate 400 "query.duplicate" "a name that matters stands twice in the query"
    QueryKey 400 "query.key" "a name in the query that matters is not spelled plainly"
    QueryTooMany 400 "query.too-many" "the query has more than 64 pairs"
    QueryNotEmpty 400 "query.not-empty" "this endpoint takes no query"
    PathFormat 400 "path.format" "the path ends in a format that no client sends"
    Prefix 404 "path.prefix" "the path lies outside the forge's root"
    ProjectShort 404 "project.too-short" "a project's path has at least two segments"
    ProjectPath 400 "project.path" "this is not a project's full path"
    GroupPath 400 "group.path" "this is not a group's full path"
    ReservedWord 404 "project.reserved-word" "no project can have this path"
    ProjectName 404 "api.name" "no project is found by this: expected a number or an encoded full path"
    ApiVersion 404 "api.version" "expected /api/v4/"
    GraphQl 403 "api.graphql" "GraphQL takes no job token: the REST API below /api/v4/ takes it"
    ProjectId 400 "api.id" "expected the number of a project, a group or a job, or an encoded full path"
    InternalRoute 403 "internal-route" "this route belongs to the forge's own components"
    GitQuery 400 "git.info-refs.query" "expected the query `service=git-upload-pack` or `service=git-receive-pack`"
    GitService 403 "git.unknown-service" "expected the service `git-upload-pack` or `git-receive-pack`"
    GitNoSuffix 404 "git.rpc-without-suffix" "expected a path with .git"
    GitContentType 415 "git.content-type" "expected the content type that Git sends with this request"
    GitContentEncoding 415 "git.content-encoding" "expected no content encoding or gzip"
    GitSuffix 400 "git.ambiguous-suffix" "more than one segment of the path ends in .git"
    Unclassifiable 400 "unclassifiable" "no endpoint of this kind"
    LfsObject 400 "lfs.object" "expected an LFS object's SHA-256 and size"
    LfsContentType 415 "lfs.content-type" "expected the content type application/vnd.git-lfs+json"
    LfsOperationType 400 "lfs.operation-type" "expected the operation as a text"
    LfsOperation 422 "lfs.operation-value" "expected the operation `download` or `upload`"
    BodyOnGet 400 "body.on-get" "a request that only reads has a body"
    BodyEncoding 415 "body.encoding" "expected a body without content encoding"
    BodyType 400 "body.content-type" "expected the content type that this endpoint reads"
    BodyTooLarge 413 "body.too-large" "the body is larger than 1 MiB"
    Trailers 400 "http.trailer" "a request whose body must be read has trailers"
    BodyTimeout 408 "body.timeout" "the body did not arrive in time"
    JsonSyntax 400 "json.syntax" "expected a JSON object"
    JsonToken 400 "json.token" "expected a token as a text"
    JsonDuplicateKey 400 "json.duplicate-key" "a key stands twice in the JSON object"
    FormSyntax 400 "form.syntax" "the form cannot be read"
    FormSemicolon 400 "form.semicolon" "the form has a semicolon, at which some readers part a value in two: write it as `%3B`"
    FormTooMany 400 "form.too-many" "the form has more than 1000 fields"
    FormDuplicate 400 "form.duplicate" "a field that matters stands twice in the form"
    MultipartSyntax 400 "multipart.syntax" "the multipart body cannot be read"
    RegistryName 400 "oci.name" "this is not an image name"
    RegistryReference 400 "oci.reference" "expected a tag or a digest"
    RegistryQuery 400 "oci.query" "a name in the query that matters has a value of another kind"
    RegistryForm 400 "oci.form-body" "a registry request has no form as its body"
    RegistryMount 400 "oci.mount" "expected a mount with one digest and one source image"
    ProxyAmbiguous 400 "dependency-proxy.ambiguous" "the words of the dependency proxy stand more than once in the path"
    Scope 400 "scope.syntax" "expected scopes such as `repository:group/project:pull`"
    TokenService 404 "token.service" "no such token service"
    TokenPost 404 "token.post-unsupported" "a registry token is asked for by GET, or by POST with a form"
    TokenPath 404 "token.path-variant" "no such path"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_texts_are_plain() {
        let codes: BTreeSet<_> = Malformed::ALL.iter().map(|(_, _, code, _)| code).collect();
        assert_eq!(codes.len(), Malformed::ALL.len());
        for (_, status, _, text) in Malformed::ALL {
            assert!((400..=422).contains(status));
            assert!(text.bytes().all(|b| (0x20..0x7f).contains(&b)) && !text.ends_with('.'), "{text}");
        }
    }
}
