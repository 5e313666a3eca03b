//! The registry's token endpoint: `GET /jwt/auth?service=container_registry&scope=repository:g/p:pull`, or the same in the
//! form of a POST. The forge has no POST there, and clients go on to GET at its 404; but who may not is told why.
//!
//! A client asks for scopes; what the job may do of them is forwarded, and nothing else. A scope that merely hopes for
//! a mount (pull, beside another that pushes) is dropped when it is refused; `*` is narrowed to what a job can hold.

use alloc::string::String;
use alloc::vec::Vec;

use super::Front;
use super::malformed::Malformed;
use super::params::{self, Pairs};
use super::registry;
use crate::access::{Access, Action, TargetRef};

const ACTIONS: [(&str, Action); 3] =
    [("pull", Action::PullImage), ("push", Action::PushImage), ("delete", Action::DeleteImage)];

/// What the dependency proxy is called there.
const DEPENDENCY_PROXY: &str = "dependency_proxy";

/// More accesses than this are nobody's request.
const ACCESSES_LIMIT: usize = 64;

/// More targets than this are nobody's request, and each costs lookups. A push names its own and some mount sources.
const TARGETS_LIMIT: usize = 16;

/// A request for a registry token, whose scopes can be narrowed to those that were granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The path as it came, with the forge's root.
    path: String,
    pairs: Pairs,
    scopes: Vec<Scope>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    /// Type and name, `repository:g/p`.
    resource: String,
    target: TargetRef,
    actions: Vec<Action>,
    /// Whether the client can go on without it.
    need: Need,
    /// Whether it was asked for by names that the forge grants.
    spelling: Spelling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Hoped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Named,
    Star,
}

impl TokenRequest {
    /// What is asked, in the order of the scopes.
    pub(crate) fn accesses(&self) -> Vec<Access> {
        if self.scopes.is_empty() {
            return alloc::vec![Access::new(Action::RegistryLogin, TargetRef::None)];
        }
        self.scopes
            .iter()
            .flat_map(|scope| scope.actions.iter().map(|action| Access::new(*action, scope.target.clone())))
            .collect()
    }

    /// Whether the client can go on without the access at this place of [`TokenRequest::accesses`].
    pub(crate) fn is_hoped(&self, at: usize) -> bool {
        self.scopes.iter().flat_map(|scope| scope.actions.iter().map(|_| scope.need)).nth(at) == Some(Need::Hoped)
    }

    /// The request target that asks for the granted accesses alone; `None` when that is what came. `is_granted` tells
    /// it of a place in [`TokenRequest::accesses`].
    pub(crate) fn narrowed(&self, is_granted: impl Fn(usize) -> bool) -> Option<Vec<u8>> {
        let mut places = 0_usize..;
        let mut changed = false;
        let mut scopes = Vec::new();
        for scope in &self.scopes {
            let granted: Vec<&Action> =
                scope.actions.iter().filter(|_| places.next().is_some_and(&is_granted)).collect();
            changed |= granted.len() < scope.actions.len() || scope.spelling == Spelling::Star;
            let name = |action| ACTIONS.iter().find(|(_, known)| known == action).map(|(name, _)| *name);
            let names: Vec<&str> = granted.into_iter().filter_map(name).collect();
            if !names.is_empty() {
                scopes.push(alloc::format!("{}:{}", scope.resource, names.join(",")));
            }
        }
        if !changed {
            return None;
        }
        let kept =
            self.pairs.iter().filter(|(name, _)| name != "scope").map(|(name, value)| (name.as_str(), value.as_str()));
        let query: Vec<String> = kept
            .chain(scopes.iter().map(|scope| ("scope", scope.as_str())))
            .map(|(name, value)| alloc::format!("{}={}", encode(name), encode(value)))
            .collect();
        Some(alloc::format!("{}?{}", self.path, query.join("&")).into_bytes())
    }
}

/// Whether the query of a request to the token endpoint asks for the dependency proxy's.
pub(crate) fn is_for_dependency_proxy(query: &str) -> bool {
    params::query(query).is_ok_and(|pairs| params::one(&pairs, "service") == Ok(Some(DEPENDENCY_PROXY)))
}

/// Reads a request to the token endpoint. `raw_path` is the path as it came, without the query.
pub(crate) fn read(method: &[u8], raw_path: &str, query: Option<&str>) -> Result<TokenRequest, Malformed> {
    if method != b"GET" {
        return Err(Malformed::TokenPost);
    }
    asked(raw_path, params::query(query.unwrap_or_default())?)
}

/// Why a request with a body is none for a token, but for its form.
pub(super) fn post(front: &Front<'_>) -> Malformed {
    match front.target.query {
        Some(query) if !query.is_empty() => Malformed::QueryNotEmpty,
        _ if front.method == b"POST" => Malformed::TokenPost,
        _ => Malformed::MethodUnknown,
    }
}

/// Reads the form of a POST.
pub(super) fn of_form(pairs: Pairs) -> Result<Vec<Access>, Malformed> {
    asked("", pairs).map(|request| request.accesses())
}

fn asked(raw_path: &str, pairs: Pairs) -> Result<TokenRequest, Malformed> {
    match params::one(&pairs, "service")? {
        Some("container_registry") => {}
        Some(DEPENDENCY_PROXY) => {
            // The forge ignores the scope and answers with a token for the whole user.
            let scope = Scope {
                resource: String::new(),
                target: TargetRef::None,
                actions: alloc::vec![Action::DependencyProxy],
                need: Need::Required,
                spelling: Spelling::Named,
            };
            return Ok(TokenRequest { path: raw_path.into(), pairs, scopes: alloc::vec![scope] });
        }
        _ => return Err(Malformed::TokenService),
    }
    if pairs.iter().any(|(name, _)| name != "scope" && params::is_spelling_of(name, "scope")) {
        return Err(Malformed::QueryBracket);
    }
    let asked = pairs.iter().filter(|(name, _)| name == "scope").flat_map(|(_, value)| value.split(' '));
    let mut scopes = asked.filter(|text| !text.is_empty()).map(scope).collect::<Result<Vec<_>, _>>()?;
    // Each scope has an action, so this bounds what is compared below.
    if scopes.iter().map(|scope| scope.actions.len()).sum::<usize>() > ACCESSES_LIMIT {
        return Err(Malformed::Scope);
    }
    let mut targets: Vec<&TargetRef> = Vec::new();
    for target in scopes.iter().map(|scope| &scope.target) {
        if !targets.contains(&target) {
            targets.push(target);
        }
        if targets.len() > TARGETS_LIMIT {
            return Err(Malformed::Scope);
        }
    }
    let pushes = scopes.iter().any(|scope| scope.actions.contains(&Action::PushImage));
    for scope in &mut scopes {
        if pushes && scope.actions == [Action::PullImage] {
            scope.need = Need::Hoped;
        }
    }
    Ok(TokenRequest { path: raw_path.into(), pairs, scopes })
}

fn scope(text: &str) -> Result<Scope, Malformed> {
    let mut parts = text.splitn(3, ':');
    let (Some(kind), Some(name), Some(actions)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed::Scope);
    };
    if text.bytes().any(|b| !(0x21..0x7f).contains(&b)) {
        return Err(Malformed::Scope);
    }
    let resource = alloc::format!("{kind}:{name}");
    if (kind, name, actions) == ("registry", "catalog", "*") {
        return Ok(Scope {
            resource,
            target: TargetRef::None,
            actions: alloc::vec![Action::Catalog],
            need: Need::Required,
            spelling: Spelling::Named,
        });
    }
    if !is_repository(kind) {
        return Err(Malformed::Scope);
    }
    let target = registry::image(&name.to_ascii_lowercase())?;
    if actions == "*" {
        let all = ACTIONS.iter().map(|(_, action)| *action).collect();
        return Ok(Scope { resource, target, actions: all, need: Need::Required, spelling: Spelling::Star });
    }
    let actions = actions
        .split(',')
        .map(|name| ACTIONS.iter().find(|(known, _)| *known == name).map(|(_, action)| *action).ok_or(Malformed::Scope))
        .collect::<Result<_, _>>()?;
    Ok(Scope { resource, target, actions, need: Need::Required, spelling: Spelling::Named })
}

/// `repository`, perhaps with a class behind it: the forge passes over that, or over the whole scope.
fn is_repository(kind: &str) -> bool {
    let class = kind.strip_prefix("repository");
    class == Some("")
        || class.and_then(|class| class.strip_prefix('(')?.strip_suffix(')')).is_some_and(|class| {
            !class.is_empty() && class.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b',' | b'@' => {
                char::from(b).into()
            }
            _ => alloc::format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(query: &str) -> Result<TokenRequest, Malformed> {
        read(b"GET", "/jwt/auth", Some(query))
    }

    fn actions(query: &str) -> Vec<Action> {
        got(query).unwrap().accesses().iter().map(|access| access.action).collect()
    }

    #[test]
    fn every_scope_counts() {
        let two =
            "service=container_registry&scope=repository:g/p:pull+repository:g/q:push,pull&scope=repository:g/r:delete";
        assert_eq!(actions(two), [Action::PullImage, Action::PushImage, Action::PullImage, Action::DeleteImage]);
        assert_eq!(actions("service=container_registry"), [Action::RegistryLogin]);
        assert_eq!(actions("service=dependency_proxy"), [Action::DependencyProxy]);
        assert_eq!(actions("service=container_registry&scope=registry:catalog:*"), [Action::Catalog]);
    }

    #[test]
    fn what_is_asked_for_the_dependency_proxy_goes_on_as_it_came() {
        let query = "scope=repository:g/dependency_proxy/containers/alpine:pull&service=dependency_proxy";
        assert_eq!(got(query).unwrap().narrowed(|_| true), None);
        assert!(is_for_dependency_proxy(query));
        for other in ["", "service=container_registry", "service=dependency_proxy&service=dependency_proxy"] {
            assert!(!is_for_dependency_proxy(other), "{other}");
        }
    }

    #[test]
    fn a_class_changes_nothing() {
        let target = |query: &str| got(query).unwrap().accesses().remove(0);
        assert_eq!(
            target("service=container_registry&scope=repository(plugin):g/p:pull"),
            target("service=container_registry&scope=repository:g/p:pull")
        );
    }

    #[test]
    fn so_many_scopes_are_nobodys() {
        let scopes = |count: usize| {
            std::format!("service=container_registry&scope={}", alloc::vec!["repository:g/p:pull"; count].join("+"))
        };
        assert_eq!(actions(&scopes(ACCESSES_LIMIT)).len(), ACCESSES_LIMIT);
        assert_eq!(got(&scopes(ACCESSES_LIMIT + 1)), Err(Malformed::Scope));
        let images = |count: usize| {
            let scopes: Vec<String> = (0..count).map(|at| std::format!("repository:g/p{at}:pull")).collect();
            got(&std::format!("service=container_registry&scope={}", scopes.join("+")))
        };
        assert!(images(TARGETS_LIMIT).is_ok());
        assert_eq!(images(TARGETS_LIMIT + 1), Err(Malformed::Scope));
    }

    #[test]
    fn a_refused_mount_source_is_dropped() {
        let request = got("account=gitlab-ci-token&service=container_registry&scope=repository:g/p:pull,push&scope=repository:h/q:pull").unwrap();
        assert!(!request.is_hoped(0) && !request.is_hoped(1) && request.is_hoped(2));
        let path = request.narrowed(|at| at < 2).unwrap();
        assert_eq!(
            path,
            b"/jwt/auth?account=gitlab-ci-token&service=container_registry&scope=repository:g/p:pull,push"
        );
        assert_eq!(request.narrowed(|_| true), None);
    }

    #[test]
    fn a_star_is_narrowed_to_what_a_job_can_hold() {
        let request = got("service=container_registry&scope=repository:g/p:*").unwrap();
        assert_eq!(
            request.narrowed(|_| true).unwrap(),
            b"/jwt/auth?service=container_registry&scope=repository:g/p:pull,push,delete"
        );
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for scope in [
            "repository:g/p",
            "repository:g/p:admin",
            "repository:g/p:pull%09repository:x/y:pull",
            "repository():g/p:pull",
            "repository(plugin:g/p:pull",
            "repository(a)(b):g/p:pull",
            "registry(plugin):catalog:*",
            "repository:h:5000/g/p:pull",
            "x:g/p:pull",
        ] {
            let query = std::format!("service=container_registry&scope={scope}");
            assert!(
                matches!(got(&query), Err(Malformed::Scope | Malformed::RegistryName | Malformed::QueryControl)),
                "{scope}"
            );
        }
        assert_eq!(got("service=other"), Err(Malformed::TokenService));
        assert_eq!(got("service=container_registry&service=x"), Err(Malformed::QueryDuplicate));
        assert_eq!(got("service=container_registry&scope[]=repository:g/p:pull"), Err(Malformed::QueryBracket));
        assert_eq!(read(b"POST", "/jwt/auth", None), Err(Malformed::TokenPost));
    }
}
