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
    NoPath 400 "request.path-missing" "the request has no path; send one"
    NoMethod 400 "request.method-missing" "the request has no method; send one"
    Host 400 "http.host" "the Host is missing, doubled or not a host name; send one host name"
    UnknownHost 403 "host.unknown" "this host is not one of the forge's; use the forge's own host name, or have the team that runs the ingress add this one"
    HeaderControl 400 "header.control" "a header that carries the token has bytes outside printable ASCII; send the token as it is, without line breaks"
    DuplicateHeader 400 "header.duplicate" "a header that may stand once stands twice; send it once"
    Override 400 "method.override" "method overrides are not read; send the method itself"
    Sudo 400 "header.sudo" "a job token cannot act as another user; leave `sudo` out"
    UrlRewrite 400 "header.url-rewrite" "headers that rewrite the URL are not read; send the URL itself"
    InternalHeader 400 "header.internal" "one of the headers is for the forge's own components; leave it out"
    ConnectionToken 400 "header.connection-token" "the Connection header names a header that matters; leave that name out"
    Underscore 400 "header.underscore" "a header name has an underscore; write a hyphen in its place"
    Authorization 400 "authorization.syntax" "the Authorization header is not spelled plainly; send `Authorization: Basic <base64>` or `Bearer <token>`"
    AuthorizationUser 401 "authorization.user" "a job token goes with the user name `gitlab-ci-token`; use that"
    Multiple 400 "carrier.multiple" "there are two credentials; send one"
    TwoHeaders 400 "carrier.two-headers" "two headers carry different credentials; send one of `Authorization`, `JOB-TOKEN` and `PRIVATE-TOKEN`"
    HeaderAndQuery 400 "carrier.header-and-query" "a header and the query carry different credentials; send one of them"
    HeadAndBody 400 "carrier.head-and-body" "the body carries another credential than the header or the query; send one of them"
    Carrier 400 "carrier.unsupported" "this kind of request does not take a job token in this place; send it to the API as `JOB-TOKEN`, and elsewhere as the password of `gitlab-ci-token`"
    PrivateToken 401 "carrier.private-token" "`PRIVATE-TOKEN` takes no job token; send it as `JOB-TOKEN`"
    WebRoute 403 "carrier.web-route" "pages for people do not take job tokens; use the API"
    TooLong 400 "token.too-long" "a job token has at most 8192 bytes; send `CI_JOB_TOKEN` as it is"
    Format 401 "token.unknown-format" "this cannot be a job token; send `CI_JOB_TOKEN` as it is"
    MethodUnknown 405 "method.unknown" "no endpoint has this method; use one that the forge documents"
    MethodSyntax 400 "method.syntax" "this is not a method; send one such as `GET`"
    Asterisk 400 "request.asterisk-form" "the request target is not a path; send a path"
    EmptySegment 400 "path.empty-segment" "the path has an empty segment; look for two slashes in a row, or a variable that is empty"
    DotSegment 400 "path.dot-segment" "the path has a dot segment; write it without `.` and `..`"
    EncodedDotSegment 400 "path.encoded-dot-segment" "a dot is written as `%2E`; write `.`"
    TooDeep 414 "path.too-deep" "the path has more than 64 segments; use a shorter one"
    TrailingSlash 400 "path.trailing-slash" "the path ends in a slash; leave that out"
    EncodedSlash 400 "path.encoded-slash" "the path has an encoded slash where none belongs; write `/`"
    Backslash 400 "path.backslash" "the path has a backslash; write `/`"
    Semicolon 400 "path.semicolon" "the path has a semicolon; leave it out"
    Fragment 400 "path.fragment" "the path has a number sign; leave it out"
    Control 400 "path.control" "the path has a control character; leave it out"
    IllegalChar 400 "path.illegal-char" "the path has a character that no endpoint uses; leave it out, or encode it where it is part of a name"
    BadPercent 400 "path.bad-percent" "a percent sign is not followed by two hexadecimal digits; write `%25` for a percent sign"
    DoubleEncoding 400 "path.double-encoding" "the path is percent-encoded twice; encode it once"
    NeedlessEncoding 400 "path.needless-encoding" "a letter, a digit, `-`, `_` or `~` is percent-encoded (`%2D`, `%5F`, `%7E`); write it as it is"
    QuerySemicolon 400 "query.semicolon" "the query has a semicolon; write it as `%3B`"
    QueryBracket 400 "query.bracket" "a name in the query that matters has brackets; write it without them"
    QueryPercent 400 "query.bad-percent" "a percent sign in the query is not followed by two hexadecimal digits, or the text is not UTF-8; write `%25` for a percent sign"
    QueryControl 400 "query.control" "the query has a control character; leave it out"
    QueryDuplicate 400 "query.duplicate" "a name that matters stands twice in the query; send it once"
    QueryKey 400 "query.key" "a name in the query that matters is not spelled plainly; write it as the forge documents it"
    QueryTooMany 400 "query.too-many" "the query has more than 64 pairs; send fewer"
    QueryNotEmpty 400 "query.not-empty" "this takes no query, or not this one; leave it out"
    PathFormat 400 "path.format" "the path ends in a format that no client sends; leave that out"
    Prefix 404 "path.prefix" "the path lies outside the forge's root; begin it as the forge's own address does"
    ProjectShort 404 "project.too-short" "a project's path has at least two segments; write it in full"
    ProjectPath 400 "project.path" "this is not a project's full path; write it as `group/project`"
    GroupPath 400 "group.path" "this is not a group's full path; write it as `group` or `group/subgroup`"
    ReservedWord 404 "project.reserved-word" "no project can have this path; check it"
    ProjectName 404 "api.name" "no project is found by this; send its number, or its full path with `%2F` for each slash"
    ApiVersion 404 "api.version" "the API is below /api/v4/; use that"
    GraphQl 403 "api.graphql" "GraphQL takes no job token; use the REST API below /api/v4/"
    ProjectId 400 "api.id" "this is no number of a project, a group or a job, and no encoded full path; send one of these"
    InternalRoute 403 "internal-route" "this route is for the forge's own components; use one that the forge documents"
    GitQuery 400 "git.info-refs.query" "the query is not one that Git sends; send `service=git-upload-pack` or `service=git-receive-pack`"
    GitService 403 "git.unknown-service" "this is not a service of Git's; use `git-upload-pack` or `git-receive-pack`"
    GitNoSuffix 404 "git.rpc-without-suffix" "the repository's address has no .git at its end; use the one that has"
    GitContentType 415 "git.content-type" "the content type is not the one that Git sends with this request; send that"
    GitContentEncoding 415 "git.content-encoding" "the content encoding is not one that Git sends; send none, or gzip"
    GitSuffix 400 "git.ambiguous-suffix" "more than one segment of the path ends in .git; use an address in which one does"
    GitAddress 400 "git.address" "this is a repository's own address, at which Git asks for nothing and no job token is taken; clone it with git, or use the API"
    Unclassifiable 400 "unclassifiable" "there is no endpoint of this kind; check the address"
    LfsObject 400 "lfs.object" "this is not an LFS object; send its SHA-256 and its size"
    LfsContentType 415 "lfs.content-type" "the content type is not that of LFS; send `application/vnd.git-lfs+json`"
    LfsOperationType 400 "lfs.operation-type" "the operation is not a text; send `download` or `upload`"
    LfsOperation 422 "lfs.operation-value" "this is not an operation of LFS; send `download` or `upload`"
    BodyOnGet 400 "body.on-get" "a request that only reads has a body; send none"
    BodyEncoding 415 "body.encoding" "the body has a content encoding; send it without one"
    BodyType 400 "body.content-type" "the content type is not one that this endpoint reads, or there is none; send JSON or a form, and say which"
    BodyTooLarge 413 "body.too-large" "the body must be read first, and is larger than 1 MiB; send a smaller one"
    Trailers 400 "http.trailer" "the body must be read first, and has trailers; send none"
    BodyLeft 400 "body.left" "what this asks stands in its body, which the ingress leaves unread (`bodies: leave`); send the token in a header, and JSON or `multipart/form-data` instead of a form"
    BodyTimeout 408 "body.timeout" "the body did not arrive in time; send it again"
    JsonSyntax 400 "json.syntax" "the body is not a JSON object that can be read; send one"
    JsonToken 400 "json.token" "the token in the JSON object is not a text; send it in quotes"
    JsonDuplicateKey 400 "json.duplicate-key" "a key stands twice in the JSON object; write it once"
    FormSyntax 400 "form.syntax" "the form cannot be read; percent-encode its names and values"
    FormSemicolon 400 "form.semicolon" "the form has a semicolon, at which some readers part a value in two; write it as `%3B`"
    FormTooMany 400 "form.too-many" "the form has more than 1000 fields; send fewer"
    FormDuplicate 400 "form.duplicate" "a field that matters stands twice in the form; send it once"
    MultipartSyntax 400 "multipart.syntax" "the multipart body cannot be read; write it as `curl --form` does"
    RegistryName 400 "oci.name" "this is not an image name; write it in small letters, as `group/project/image`"
    RegistryReference 400 "oci.reference" "this is neither a tag nor a digest; send one of them"
    RegistryQuery 400 "oci.query" "a name in the query that matters has a value of another kind; send what the registry documents"
    RegistryForm 400 "oci.form-body" "the body is a form, which no registry request has; send another content type"
    RegistryMount 400 "oci.mount" "this is not a mount of one digest from one image; name one of each"
    ProxyAmbiguous 400 "dependency-proxy.ambiguous" "the words of the dependency proxy stand more than once in the path; use an address in which they stand once"
    Scope 400 "scope.syntax" "these are not scopes; write them as `repository:group/project:pull`"
    TokenService 404 "token.service" "there is no such token service; ask for `container_registry`"
    TokenPost 404 "token.post-unsupported" "a registry token is asked for by GET, or by POST with a form; use one of these"
    TokenForm 404 "token.form-left" "a registry token is asked for by GET where the ingress leaves bodies unread (`bodies: leave`); use that"
    TokenPath 404 "token.path-variant" "there is no such path; use `/jwt/auth`"
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
