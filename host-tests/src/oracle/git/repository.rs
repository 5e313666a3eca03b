//! Repositories that are easily taken for one another.

/// What a repository belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The project's code.
    Code,
    /// Its wiki.
    Wiki,
    /// Its designs.
    Design,
    /// One of its snippets, or of nobody's.
    Snippet,
}

/// Whether something is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Fetched.
    Read,
    /// Pushed.
    Write,
}

/// A repository as a person would call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repository {
    /// Where it lies.
    pub dir: &'static str,
    pub kind: Kind,
    /// The project's path in small letters: the forge finds it in any. A snippet of nobody's has none.
    pub project: Option<&'static str>,
}

const fn of(dir: &'static str, kind: Kind, project: &'static str) -> Repository {
    Repository { dir, kind, project: Some(project) }
}

/// At most 31: the announced abilities tell no more apart.
pub(super) const REPOSITORIES: [Repository; 26] = [
    of("g/p.git", Kind::Code, "g/p"),
    of("g/p.wiki.git", Kind::Wiki, "g/p"),
    of("g/p.design.git", Kind::Design, "g/p"),
    of("g/pp.git", Kind::Code, "g/pp"),
    of("g/pp.wiki.git", Kind::Wiki, "g/pp"),
    of("g/p-p.git", Kind::Code, "g/p-p"),
    of("g/p.p.git", Kind::Code, "g/p.p"),
    of("g/p.x.design.git", Kind::Design, "g/p.x"),
    of("g/wiki.git", Kind::Code, "g/wiki"),
    of("g/wiki.wiki.git", Kind::Wiki, "g/wiki"),
    of("G/P.git", Kind::Code, "g/p"),
    of("H/Q.git", Kind::Code, "h/q"),
    of("h/p.git", Kind::Code, "h/p"),
    of("p/g.git", Kind::Code, "p/g"),
    of("g/s/p.git", Kind::Code, "g/s/p"),
    of("g/s/p.wiki.git", Kind::Wiki, "g/s/p"),
    of("g/s/s/p.git", Kind::Code, "g/s/s/p"),
    of("g/p/q.git", Kind::Code, "g/p/q"),
    of("g/info.git", Kind::Code, "g/info"),
    of("g/info/refs.git", Kind::Code, "g/info/refs"),
    of("g/objects/info.git", Kind::Code, "g/objects/info"),
    of("g/HEAD.git", Kind::Code, "g/head"),
    of("g/git-upload-pack.git", Kind::Code, "g/git-upload-pack"),
    of("g/p/snippets/1.git", Kind::Snippet, "g/p"),
    of("h/p/snippets/1.git", Kind::Snippet, "h/p"),
    Repository { dir: "snippets/7.git", kind: Kind::Snippet, project: None },
];
