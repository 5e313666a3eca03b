//! The endpoints of package registries. Each list stands below one or more bases, which say whose packages are meant.
//!
//! Source: GitLab's documentation of CI job tokens, its pages on each package registry's API, and for the registries
//! that neither lists (NuGet, Helm, Debian, RubyGems, RPM, Terraform modules, models) the declarations in its source.

use super::table::Body::{Inspect, Stream, Upload};
use super::table::Carriers::{AnyUser, NugetKey, Raw, Usual};
use super::table::{Row, Table, row, table};
use crate::access::Action::*;
use crate::facts::Feature::Packages;

/// A Conan recipe, behind a base that ends in `conans` or `files`.
macro_rules! recipe {
    ($base:literal) => {
        concat!($base, "/:package_name/:package_version/:recipe_user/:package_channel")
    };
}

pub(super) const TABLES: &[Table] = &[
    table("projects/:project/packages/cargo", Usual, CARGO),
    table("projects/:project/packages/composer", Usual, COMPOSER),
    // Composer alone says `group`.
    table("group/:group/-/packages/composer", Usual, COMPOSER_INDEX),
    table("projects/:project/packages/conan/v1", AnyUser, CONAN),
    table("projects/:project/packages/conan/v2", AnyUser, CONAN),
    table(recipe!("projects/:project/packages/conan/v1/conans"), AnyUser, CONAN_1),
    table(recipe!("projects/:project/packages/conan/v1/files"), AnyUser, CONAN_1_FILES),
    table(recipe!("projects/:project/packages/conan/v2/conans"), AnyUser, CONAN_2),
    table("packages/conan/v1", AnyUser, CONAN_OF_ALL).by_id(),
    table("packages/conan/v2", AnyUser, CONAN_OF_ALL).by_id(),
    table(recipe!("packages/conan/v1/conans"), AnyUser, CONAN_1).by_id(),
    table(recipe!("packages/conan/v1/files"), AnyUser, CONAN_1_FILES).by_id(),
    table(recipe!("packages/conan/v2/conans"), AnyUser, CONAN_2).by_id(),
    table("projects/:project/packages/debian", Usual, DEBIAN),
    table("projects/:project/packages/debian", Usual, DEBIAN_UPLOAD),
    table("groups/:group/-/packages/debian", Usual, DEBIAN_INDEX),
    table("groups/:any_group/-/packages/debian", Usual, DEBIAN_POOL),
    table("projects/:project/packages/generic", Usual, GENERIC),
    table("projects/:project/packages/go", Usual, GO),
    table("projects/:project/packages/helm", Usual, HELM),
    table("projects/:project/packages/maven", Usual, MAVEN),
    table("projects/:project/packages/maven", Usual, MAVEN_UPLOAD),
    table("groups/:group/-/packages/maven", Usual, MAVEN),
    table("packages/maven", Usual, MAVEN_OF_ALL),
    table("projects/:project/packages/ml_models", Usual, MODELS),
    table("projects/:project/packages/npm", Usual, NPM_FILES),
    table("projects/:project/packages/npm", Usual, NPM),
    table("groups/:group/-/packages/npm", Usual, NPM),
    // Of some versions alone.
    table("packages/npm", Usual, NPM).by_id(),
    table("projects/:project/packages/nuget", Usual, NUGET),
    table("projects/:project/packages/nuget", Usual, NUGET_FILES),
    table("projects/:project/packages/nuget", NugetKey, NUGET_UPLOAD),
    table("groups/:group/-/packages/nuget", Usual, NUGET),
    table("projects/:project/packages/pypi", Usual, PYPI),
    table("projects/:project/packages/pypi", Usual, PYPI_FORWARD),
    table("projects/:project/packages/pypi", Usual, PYPI_UPLOAD),
    table("groups/:group/-/packages/pypi", Usual, PYPI),
    table("projects/:project/packages/rpm", Usual, RPM),
    table("projects/:project/packages/rubygems", Raw, GEMS),
    table("projects/:project/packages/terraform/modules/:module_name/:module_system", Usual, TERRAFORM),
    table("packages/terraform/modules/v1/:namespace", Usual, TERRAFORM_OF_NAMESPACE),
];

/// Behind a flag of the forge. The index has a package's first letters before its name, by the name's length.
const CARGO: &[Row] = &[
    row("GET", "config.json", ReadCargo, Inspect).open(&[Packages]).since(19, 0),
    row("GET", "1/:package_name", ReadCargo, Inspect).open(&[Packages]).since(19, 0),
    row("GET", "2/:package_name", ReadCargo, Inspect).open(&[Packages]).since(19, 0),
    row("GET", "3/:first/:package_name", ReadCargo, Inspect).open(&[Packages]).since(19, 0),
    row("GET", ":package_name/:package_version/download", ReadCargo, Inspect).open(&[Packages]).since(19, 0),
    row("GET", ":first/:second/:package_name", ReadCargo, Inspect).open(&[Packages]).since(19, 0),
];

const COMPOSER: &[Row] = &[
    row("GET", "archives/*package_name", ReadComposer, Stream),
    // Read from any carrier, a form's fields among them.
    row("POST", "", PublishComposer, Inspect),
];

const COMPOSER_INDEX: &[Row] = &[
    row("GET", "packages", ReadComposer, Inspect),
    row("GET", "packages.json", ReadComposer, Inspect),
    row("GET", "p/:sha", ReadComposer, Inspect),
    row("GET", "p2/*composer_name", ReadComposer, Inspect),
    row("GET", "*composer_name", ReadComposer, Inspect),
];

/// Conan asks for a user's name, and the forge passes over it. A login answers with a JWT that wraps the job token, which is judged again wherever it is used.
const CONAN: &[Row] = &[
    row("GET", "ping", FindConan, Stream),
    row("GET", "users/authenticate", FindConan, Stream),
    row("GET", "users/check_credentials", FindConan, Stream),
    row("GET", "conans/search", FindConan, Stream),
];

const CONAN_OF_ALL: &[Row] = &[
    row("GET", "ping", LoginConan, Stream),
    row("GET", "users/authenticate", LoginConan, Stream),
    row("GET", "users/check_credentials", LoginConan, Stream),
    row("GET", "conans/search", FindConan, Stream),
];

const CONAN_1: &[Row] = &[
    row("GET", "", ReadConan, Stream).open(&[Packages]),
    row("GET", "digest", ReadConan, Stream).open(&[Packages]),
    row("GET", "download_urls", ReadConan, Stream).open(&[Packages]),
    row("GET", "search", ReadConan, Stream).open(&[Packages]),
    row("GET", "packages/:package_reference", ReadConan, Stream).open(&[Packages]),
    row("GET", "packages/:package_reference/digest", ReadConan, Stream).open(&[Packages]),
    row("GET", "packages/:package_reference/download_urls", ReadConan, Stream).open(&[Packages]),
    // These answer with addresses and change nothing.
    row("POST", "upload_urls", ReadConan, Inspect),
    row("POST", "packages/:package_reference/upload_urls", ReadConan, Inspect),
    // From a body the forge would take another project.
    row("DELETE", "", DeletePackages, Inspect),
];

const CONAN_1_FILES: &[Row] = &[
    row("GET", ":recipe_revision/export/:file_name", ReadConan, Stream).open(&[Packages]),
    row("PUT", ":recipe_revision/export/:file_name", PublishConan, Stream),
    row("GET", ":recipe_revision/package/:package_reference/:package_revision/:file_name", ReadConan, Stream)
        .open(&[Packages]),
    row("PUT", ":recipe_revision/package/:package_reference/:package_revision/:file_name", PublishConan, Stream),
];

const CONAN_2: &[Row] = &[
    row("GET", "latest", ReadConan, Stream).open(&[Packages]),
    row("GET", "search", ReadConan, Stream).open(&[Packages]),
    row("GET", "revisions", ReadConan, Stream).open(&[Packages]),
    row("DELETE", "revisions/:revision", DeletePackages, Inspect),
    row("GET", "revisions/:revision/search", ReadConan, Stream).open(&[Packages]),
    row("GET", "revisions/:revision/files", ReadConan, Stream).open(&[Packages]),
    row("GET", "revisions/:revision/files/:file_name", ReadConan, Stream).open(&[Packages]),
    row("PUT", "revisions/:revision/files/:file_name", PublishConan, Stream),
    row("GET", "revisions/:revision/packages/:reference/latest", ReadConan, Stream).open(&[Packages]),
    row("GET", "revisions/:revision/packages/:reference/revisions", ReadConan, Stream).open(&[Packages]),
    row("DELETE", "revisions/:revision/packages/:reference/revisions/:package_revision", DeletePackages, Inspect),
    row("GET", "revisions/:revision/packages/:reference/revisions/:package_revision/files", ReadConan, Stream)
        .open(&[Packages]),
    row(
        "GET",
        "revisions/:revision/packages/:reference/revisions/:package_revision/files/:file_name",
        ReadConan,
        Stream,
    )
    .open(&[Packages]),
    row(
        "PUT",
        "revisions/:revision/packages/:reference/revisions/:package_revision/files/:file_name",
        PublishConan,
        Stream,
    ),
];

const DEBIAN: &[Row] =
    &[row("GET", "dists/*distribution", ReadDebian, Stream), row("GET", "pool/*file_name", ReadDebian, Stream)];

const DEBIAN_INDEX: &[Row] = &[row("GET", "dists/*distribution", ReadDebian, Stream)];

/// A group's pool names the project of each file, whichever group it is.
const DEBIAN_POOL: &[Row] = &[row("GET", "pool/:distribution/:pool_project_id/*file_name", ReadDebian, Stream)];

const DEBIAN_UPLOAD: &[Row] = &[row("PUT", ":file_name", PublishDebian, Stream)];

const GENERIC: &[Row] = &[
    row("GET", ":package_name/:package_version/*file_name", ReadGeneric, Inspect).open(&[Packages]),
    row("PUT", ":package_name/:package_version/*file_name", PublishGeneric, Upload),
];

const GO: &[Row] = &[
    row("GET", "*module_name/@v/list", ReadGo, Stream),
    row("GET", "*module_name/@v/:module_version.info", ReadGo, Stream),
    row("GET", "*module_name/@v/:module_version.mod", ReadGo, Stream),
    row("GET", "*module_name/@v/:module_version.zip", ReadGo, Stream),
    // The forge has neither of these, and Go goes on at its 404.
    row("GET", "*module_name/@latest", ReadGo, Stream),
    row("GET", "sumdb/*database", ReadGo, Stream),
];

const HELM: &[Row] = &[
    row("GET", ":channel/index.yaml", ReadHelm, Stream),
    row("GET", ":channel/charts/:file_name.tgz", ReadHelm, Stream),
    row("POST", "api/:channel/charts", PublishHelm, Stream),
];

const MAVEN: &[Row] = &[row("GET", "*maven_path/:file_name", ReadMaven, Inspect)];

const MAVEN_OF_ALL: &[Row] = &[row("GET", "*project_version/:file_name", ReadMaven, Inspect)];

const MAVEN_UPLOAD: &[Row] = &[row("PUT", "*path/:file_name", PublishMaven, Upload)];

const MODELS: &[Row] = &[
    row("GET", ":model_version/files/*file_name", ReadModel, Stream),
    row("PUT", ":model_version/files/*file_name", PublishModel, Stream),
];

const NPM: &[Row] = &[
    row("GET", "-/package/*npm_name/dist-tags", ReadNpm, Inspect),
    row("PUT", "-/package/*npm_name/dist-tags/:tag", PublishNpm, Upload),
    row("DELETE", "-/package/*npm_name/dist-tags/:tag", DeletePackages, Inspect),
    row("POST", "-/npm/v1/security/advisories/bulk", ReadNpm, Inspect),
    row("POST", "-/npm/v1/security/audits/quick", ReadNpm, Inspect),
    // The forge has no search. A name begins with no hyphen.
    row("GET", "-/*search", ReadNpm, Inspect),
    row("GET", "*npm_name", ReadNpm, Inspect),
];

const NPM_FILES: &[Row] = &[
    row("PUT", ":package_name", PublishNpm, Upload).instead("npm-command", "deprecate", DeletePackages),
    row("GET", "*package_name/-/*file_name", ReadNpm, Inspect).open(&[Packages]),
];

const NUGET: &[Row] = &[
    row("GET", "index", ReadNuget, Stream),
    row("GET", "index.json", ReadNuget, Stream),
    row("GET", "query", ReadNuget, Stream),
    // A version, or the index of all.
    row("GET", "metadata/:nuget_name/:package_version", ReadNuget, Stream),
];

const NUGET_FILES: &[Row] = &[
    row("GET", "download/:package_name/index", ReadNuget, Stream),
    row("GET", "download/:package_name/index.json", ReadNuget, Stream),
    row("GET", "download/:package_name/:package_version/:file_name", ReadNuget, Stream),
    row("GET", "v2", ReadNuget, Stream),
    row("GET", "v2/$metadata", ReadNuget, Stream),
];

/// The client writes a slash behind the address that it was given.
const NUGET_UPLOAD: &[Row] = &[
    row("PUT", "/", PublishNuget, Stream),
    row("PUT", "symbolpackage/", PublishNuget, Stream),
    row("PUT", "v2/", PublishNuget, Stream),
    row("DELETE", ":package_name/:package_version", DeletePackages, Stream),
];

/// The simple index is asked with a slash at its end (PEP 503).
const PYPI: &[Row] = &[
    row("GET", "simple/", ReadPypi, Stream).open(&[Packages]),
    row("GET", "simple/*pypi_name/", ReadPypi, Stream).open(&[Packages]),
    row("GET", "files/:sha256/*pypi_file", ReadPypi, Stream).open(&[Packages]),
];

/// Files of the public index, which the dependency firewall lets through.
const PYPI_FORWARD: &[Row] = &[row("GET", "forward/:package_name/*upstream_path", ReadPypi, Stream).since(19, 4)];

const PYPI_UPLOAD: &[Row] = &[row("POST", "", PublishPypi, Stream)];

const RPM: &[Row] = &[
    row("GET", "repodata/:file_name", ReadRpm, Stream),
    row("GET", ":package_file_id/:file_name", ReadRpm, Stream),
    row("POST", "", PublishRpm, Stream),
];

const GEMS: &[Row] = &[
    // Whether there is a registry at all.
    row("GET", "/", ReadGem, Stream),
    row("GET", ":file_name", ReadGem, Stream),
    row("GET", "quick/Marshal.4.8/:file_name", ReadGem, Stream),
    row("GET", "gems/:file_name", ReadGem, Stream),
    row("GET", "api/v1/dependencies", ReadGem, Stream),
    row("POST", "api/v1/gems", PublishGem, Stream),
];

const TERRAFORM: &[Row] = &[
    row("GET", "", ReadTerraform, Stream),
    row("GET", ":module_version", ReadTerraform, Stream),
    row("PUT", ":module_version/file", PublishTerraform, Stream),
];

const TERRAFORM_OF_NAMESPACE: &[Row] = &[
    row("GET", ":terraform_name/:module_system", ReadTerraform, Stream),
    row("GET", ":terraform_name/:module_system/versions", ReadTerraform, Stream),
    row("GET", ":terraform_name/:module_system/download", ReadTerraform, Stream),
    row("GET", ":terraform_name/:module_system/:module_version", ReadTerraform, Stream),
    row("GET", ":terraform_name/:module_system/:module_version/download", ReadTerraform, Stream),
    row("GET", ":terraform_name/:module_system/:module_version/file", ReadTerraform, Stream),
];
