//! SECURITY.md's table "What must be configured in Envoy", each row one check.

use super::envoy::Site;
use super::looks::{
    access_log, addresses, admin, breakers, buffers, disabled, failure_policy, first, hosts, in_front, lookup_cluster,
    paths, proxy_status, rewrites, service_account, tls, trailers, underscores, upgrades, vm_id,
};
use super::secrets::secrets;
use super::slots::slots;
use super::{Finding, Weight};

/// A row of the table.
pub struct Row {
    /// The setting, as the table has it.
    pub setting: &'static str,
    /// What is wrong with it.
    look: fn(&Site<'_>) -> Vec<Seen>,
}

/// What a check saw: how it weighs, in which line, and what.
pub(super) type Seen = (Weight, u64, String);

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    Row { setting: "`failure_policy: FAIL_RELOAD`, never `FAIL_OPEN`", look: failure_policy },
    Row { setting: "no `FilterConfig: {disabled: true}` for the filter on any route or virtual host", look: disabled },
    Row { setting: "the filter first among the HTTP filters", look: first },
    Row { setting: "no rewrite of path or host behind it, no redirect that carries credentials", look: rewrites },
    Row {
        setting: "no virtual host `*` in front of the forge, and every name of the forge in `forge.hosts` or `forge.registry_hosts`",
        look: hosts,
    },
    Row {
        setting: "`normalize_path: false`, `merge_slashes: false`, `path_with_escaped_slashes_action: KEEP_UNCHANGED`",
        look: paths,
    },
    Row { setting: "`headers_with_underscores_action: REJECT_REQUEST`", look: underscores },
    Row { setting: "`use_remote_address: true`, an empty `internal_address_config`", look: addresses },
    Row {
        setting: "behind a TLS terminator or a load balancer: `xff_num_trusted_hops: 1` where it speaks HTTP, the PROXY protocol where it passes TCP on",
        look: in_front,
    },
    Row { setting: "no `enable_trailers` on the clusters of forge and registry (nor HTTP/2 to them)", look: trailers },
    Row { setting: "no `upgrade_configs` on routes that take job tokens", look: upgrades },
    Row {
        setting: "`allow_on_headers_stop_iteration: true`, and `request_body_buffer_limit` of 1 MiB more than `per_connection_buffer_limit_bytes`",
        look: buffers,
    },
    Row { setting: "circuit breakers of forge and registry as wide as the listener's connections", look: breakers },
    Row { setting: "a `vm_id` that no other plugin has", look: vm_id },
    Row {
        setting: "circuit breakers, `connect_timeout` below `lookup.timeout` and TLS on the lookup cluster",
        look: lookup_cluster,
    },
    Row {
        setting: "where Envoy adds the service account's token or the webhook's secret: the one on the cluster `lookup.service_cluster` and no other, where no route leads; the other before the filter, for reports alone",
        look: secrets,
    },
    Row {
        setting: "with `forge.credential_slots: on`: each slot's route before the others, with an injector on its cluster, to which nothing else leads; `x-jobscope-credential` removed on every route",
        look: slots,
    },
    Row { setting: "TLS in front", look: tls },
    Row { setting: "no `proxy_status_config` with response code details", look: proxy_status },
    Row { setting: "a service account that may read the settings of every target", look: service_account },
    Row { setting: "an access log without queries and without client header fields", look: access_log },
    Row { setting: "the admin interface on the loopback", look: admin },
];

/// What all rows find.
pub(super) fn findings(site: &Site<'_>) -> Vec<Finding> {
    let of_row = |row: &'static Row| {
        let finding = |(weight, line, text): Seen| Finding { weight, line, about: row.setting.to_owned(), text };
        (row.look)(site).into_iter().map(finding)
    };
    ROWS.iter().flat_map(of_row).collect()
}
