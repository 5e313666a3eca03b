//! What repositories are to jobs.

use super::*;

/// What apps/web, or another repository of this number, asks about one for a user.
async fn ask(caller: &Caller, origin: (u64, &str), user: Option<u64>, target: Value) -> Value {
    let question = json!({"version": 1, "ask": "target", "job": {"id": 1001}, "origin": {"id": origin.0, "path": origin.1},
        "user": user.map(|id| json!({"id": id, "name": "somebody"})), "target": target});
    let reply = caller.post("/jobscope/v1/lookup", &question).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.body
}

const WEB: (u64, &str) = (101, "apps/web");

#[tokio::test]
async fn a_repository_is_what_the_database_has_of_it() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    let own = ask(&caller, WEB, Some(11), json!({"path": "apps/web"})).await;
    let closed = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), json!("disabled"))).collect::<serde_json::Map<_, _>>()
    };
    let features = closed(&["wiki", "environments", "infrastructure"]);
    assert_eq!(
        own["target"],
        json!({"id": 101, "path": "apps/web", "visibility": "private", "push_by_job_token": "own", "features": features,
            "public_jobs": false, "archived": false})
    );
    assert_eq!((&own["admission"], &own["role"]), (&json!("own"), &json!("none")));
    for (target, visibility, archived) in [
        (json!({"id": 102}), "private", false),
        (json!({"path": "libs/open"}), "public", false),
        (json!({"paths": ["inner/tool/image/x", "inner/tool/image", "inner/tool"]}), "internal", true),
        (json!({"path": "secret/open"}), "private", false),
    ] {
        let body = ask(&caller, WEB, Some(11), target.clone()).await;
        assert_eq!(
            (&body["target"]["visibility"], &body["target"]["archived"]),
            (&json!(visibility), &json!(archived)),
            "{target}"
        );
        assert_eq!(
            (&body["admission"], &body["role"], &body["external"]),
            (&json!("unlisted"), &json!("none"), &json!(false))
        );
    }
    for nothing in
        [json!({"id": 999}), json!({"path": "apps/none"}), json!({"path": "apps/web/more"}), json!({"job": 1001})]
    {
        assert_eq!(ask(&caller, WEB, Some(11), nothing.clone()).await["target"], Value::Null, "{nothing}");
    }
    // An id that another repository has got, or a name that moved: not the job's any more.
    run(&forge, "INSERT INTO access (user_id, repo_id, mode) VALUES (11, 101, 2)").await;
    for other in [(101, "apps/other"), (102, "apps/web"), (999, "apps/web")] {
        let body = ask(&caller, other, Some(11), json!({"path": "apps/web"})).await;
        assert_eq!(body["role"], "none", "{other:?}");
    }
}

#[tokio::test]
async fn what_is_an_owners_is_asked_of_all_of_its_repositories() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    let held = async |group: Value, package: Value| {
        let question = json!({"version": 1, "ask": "holders", "group": group, "package": package});
        let reply = caller.post("/jobscope/v1/lookup", &question).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body["holders"].clone()
    };
    let owned = async |owner: &str| held(json!({"path": owner}), Value::Null).await;
    // Private ones and archived ones, too.
    assert_eq!(
        (owned("apps").await, owned("Dana").await, owned("inner").await),
        (json!([101, 103]), json!([107]), json!([105]))
    );
    assert_eq!((owned("nobody").await, owned("apps/web").await), (Value::Null, Value::Null));
    assert_eq!(held(json!({"id": 1}), Value::Null).await, Value::Null, "owners have no number here");
    let package = json!({"type": "npm", "names": ["tool"]});
    assert_eq!(held(json!({"path": "apps"}), package).await, Value::Null, "a package has no repository");
    let many = "INSERT INTO repository (owner_id, lower_name, name, is_private) SELECT 1, 'r' || n, 'r' || n, true FROM generate_series(1, 30) n";
    run(&forge, many).await;
    assert_eq!(owned("apps").await.as_array().map(Vec::len), Some(32));
    run(&forge, "INSERT INTO repository (owner_id, lower_name, name, is_private) VALUES (1, 'last', 'last', true)")
        .await;
    assert_eq!(owned("apps").await, "too-many");
}

#[tokio::test]
async fn a_role_is_what_a_member_may_do_with_code() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    let role = async |user: u64, target: u64| {
        ask(&caller, WEB, Some(user), json!({"id": target})).await["role"].as_str().unwrap().to_owned()
    };
    assert_eq!(role(11, 107).await, "owner", "of a person");
    assert_eq!(role(14, 102).await, "none", "an administrator counts by membership");
    for (mode, expected) in [(0, "none"), (1, "reporter"), (2, "developer"), (3, "maintainer"), (4, "owner")] {
        run(
            &forge,
            &format!("DELETE FROM access; INSERT INTO access (user_id, repo_id, mode) VALUES (11, 102, {mode})"),
        )
        .await;
        assert_eq!(
            (role(11, 102).await, role(12, 102).await, role(11, 101).await),
            (expected.into(), "none".into(), "none".into())
        );
    }
    // The forge writes what a team may do with issues into `access` too: with code it may less.
    run(
        &forge,
        "DELETE FROM access; INSERT INTO access (user_id, repo_id, mode) VALUES (11, 102, 2); \
        INSERT INTO team (id, org_id, authorize) VALUES (71, 2, 2), (72, 2, 1); \
        INSERT INTO team_repo (team_id, repo_id) VALUES (71, 102), (72, 102); \
        INSERT INTO team_user (team_id, uid) VALUES (71, 11); \
        INSERT INTO team_unit (team_id, type, access_mode) VALUES (71, 2, 2), (71, 1, 0), (72, 1, 1)",
    )
    .await;
    assert_eq!(role(11, 102).await, "none");
    run(&forge, "INSERT INTO team_user (team_id, uid) VALUES (72, 11)").await;
    assert_eq!(role(11, 102).await, "reporter", "the best of the teams");
    run(&forge, "INSERT INTO collaboration (repo_id, user_id, mode) VALUES (102, 11, 2)").await;
    assert_eq!(role(11, 102).await, "developer", "or of the collaboration");
    run(&forge, "UPDATE team SET authorize = 3 WHERE id = 72").await;
    assert_eq!((role(11, 102).await, role(11, 101).await), ("owner".into(), "none".into()), "a team of administrators");
    let nobody = ask(&caller, WEB, None, json!({"id": 102})).await;
    assert_eq!((&nobody["role"], &nobody["external"]), (&json!("none"), &json!(false)));
    assert_eq!(ask(&caller, WEB, Some(12), json!({"id": 102})).await["external"], true, "a restricted user");
}

#[tokio::test]
async fn an_owner_shares_repositories_and_a_repository_names_owners() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    let asked = async |origin: (u64, &str), target: u64| {
        let body = ask(&caller, origin, Some(11), json!({"id": target})).await;
        (body["admission"].as_str().unwrap().to_owned(), body["permissions"].clone())
    };
    let unlisted = ("unlisted".to_owned(), Value::Null);
    assert_eq!(asked(WEB, 103).await, unlisted);
    let owner = async |settings: Value| {
        run(&forge, "DELETE FROM user_setting").await;
        let sql = "INSERT INTO user_setting (user_id, setting_key, setting_value) VALUES (1, 'actions.config', $1)";
        forge.execute(sql, &[&settings.to_string()]).await.unwrap();
    };
    owner(json!({"allowed_cross_repo_ids": [103, 102]})).await;
    let readable = json!(["read_packages", "read_releases", "read_repositories", "read_containers"]);
    assert_eq!(asked(WEB, 103).await, ("group".into(), readable.clone()));
    assert_eq!(
        (asked(WEB, 102).await, asked((104, "libs/open"), 103).await),
        (unlisted.clone(), unlisted.clone()),
        "of another owner"
    );
    owner(json!({"allowed_cross_repo_ids": [103], "max_token_permissions": {"unit_access_modes": {"1": 1, "9": 0}}}))
        .await;
    assert_eq!(asked(WEB, 103).await, ("group".into(), json!(["read_repositories"])));
    // The target's own ceiling, where it has one.
    run(&forge, r#"UPDATE repo_unit SET config = '{"override_owner_config":true,"max_token_permissions":{"unit_access_modes":{"4":2}}}'
        WHERE repo_id = 103 AND type = 10"#).await;
    assert_eq!(asked(WEB, 103).await, ("group".into(), json!([])));
    // Private repositories of an owner that it names, and no public ones.
    run(&forge, r#"UPDATE repo_unit SET config = '{"CollaborativeOwnerIDs":[1]}' WHERE repo_id = 102 AND type = 10"#)
        .await;
    owner(json!({})).await;
    assert_eq!(asked(WEB, 102).await, ("group".into(), readable));
    run(&forge, "UPDATE repository SET is_private = false WHERE id = 101").await;
    assert_eq!(asked(WEB, 102).await, unlisted);
    // What cannot be read grants nothing, and refuses nothing for good.
    run(&forge, "UPDATE repo_unit SET config = '{' WHERE repo_id = 102 AND type = 10").await;
    let question = json!({"version": 1, "ask": "target", "job": {"id": 1}, "origin": {"id": 101, "path": "apps/web"}, "user": null,
        "target": {"id": 102}});
    assert_eq!(caller.post("/jobscope/v1/lookup", &question).await.status, 503);
}

#[tokio::test]
async fn a_ceiling_is_that_of_each_job_of_the_repository() {
    let postgres = Postgres::start().await;
    let (forge, (_service, caller)) = (postgres.gitea().await, service(&postgres, &[]).await);
    run(&forge, "INSERT INTO access (user_id, repo_id, mode) VALUES (11, 101, 3)").await;
    let own = async |modes: Value| {
        let settings = json!({"override_owner_config": true, "max_token_permissions": {"unit_access_modes": modes}});
        // As older ones were written: a text in a text.
        let sql = "UPDATE repo_unit SET config = $1 WHERE repo_id = 101 AND type = 10";
        forge.execute(sql, &[&json!(settings.to_string()).to_string()]).await.unwrap();
        let body = ask(&caller, WEB, Some(11), json!({"id": 101})).await;
        let target = &body["target"];
        let closed = |name: &str| target["features"][name] == "disabled";
        (body["role"].clone(), target["push_by_job_token"].clone(), closed("repository"), closed("container_registry"))
    };
    assert_eq!(own(json!({"1": 2, "9": 2})).await, (json!("maintainer"), json!("own"), false, false));
    assert_eq!(own(json!({"1": 1, "9": 2})).await, (json!("maintainer"), json!("off"), false, false));
    assert_eq!(own(json!({"1": 1, "9": 1})).await, (json!("reporter"), json!("off"), false, false));
    assert_eq!(own(json!({})).await, (json!("reporter"), json!("off"), true, true));
    run(&forge, "UPDATE repository SET is_private = false WHERE id = 101").await;
    assert_eq!(own(json!({})).await, (json!("reporter"), json!("off"), false, false), "everybody reads it");
}
