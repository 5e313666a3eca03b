//! Why an ID token is no running job's. It is for the log: whoever showed the token learns none of it.

/// What is wrong with an ID token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it is not spelled as issuers spell tokens")]
    Spelling,
    #[error("its header has no `alg` or `kid`, or has something that no issuer of jobs writes")]
    Header,
    #[error("its issuer is none of `forge.issuers`")]
    Issuer,
    #[error("its algorithm is none of the issuer's `algorithms`")]
    Algorithm,
    #[error("the issuer has no key of its `kid` for its algorithm")]
    Key,
    #[error("its signature is not the issuer's")]
    Signature,
    #[error("it is not for `forge.audience` alone")]
    Audience,
    #[error("it has no `exp` or no `iat`")]
    Times,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet: do the clocks of issuer and service agree?")]
    Early,
    #[error("it is valid for longer than the issuer's `max_lifetime`")]
    Lifetime,
    #[error("it has another id than the issuer's `pins` ask for")]
    Pin,
    #[error("it does not say which job it is of, or of which project")]
    Claims,
    #[error("its project is in no `identities` of `forge.projects`")]
    Project,
}
