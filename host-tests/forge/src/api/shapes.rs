//! The JSON of the API's things.

use serde_json::{Map, Value, json};

use crate::clock::iso;
use crate::forge::Forge;
use crate::jobs::Job;
use world::{Feature, Project, Role, User, last_segment};

/// A user; `private` adds what only administrators and the user see.
pub fn user(forge: &Forge, user: &User, private: bool) -> Value {
    let mut shape = json!({
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "state": if user.blocked { "blocked" } else { "active" },
        "locked": false,
        "avatar_url": null,
        "web_url": forge.url(&user.username),
    });
    if private {
        shape["external"] = json!(user.external);
        shape["is_admin"] = json!(user.admin);
        shape["bot"] = json!(false);
        shape["email"] = json!(format!("{}@forge.invalid", user.username));
    }
    shape
}

/// A project as lists have it.
pub fn basic_project(forge: &Forge, project: &Project) -> Value {
    let name = project.name();
    json!({
        "id": project.id,
        "description": null,
        "name": name,
        "name_with_namespace": project.path.replace('/', " / "),
        "path": name,
        "path_with_namespace": project.path,
        "created_at": "2024-01-01T00:00:00.000Z",
        "default_branch": "main",
        "ssh_url_to_repo": format!("git@forge.invalid:{}.git", project.path),
        "http_url_to_repo": forge.url(&format!("{}.git", project.path)),
        "web_url": forge.url(&project.path),
        "namespace": namespace(forge, project),
    })
}

/// A project; `settings` adds what takes rights in it.
pub fn project(forge: &Forge, project: &Project, settings: bool) -> Value {
    let mut shape = basic_project(forge, project);
    shape["visibility"] = json!(project.visibility.word());
    shape["archived"] = json!(project.archived);
    shape["public_jobs"] = json!(project.public_jobs);
    if settings {
        for (feature, field) in Feature::FIELDS {
            shape[field] = json!(project.feature(feature).word());
        }
        shape["ci_push_repository_for_job_token_allowed"] = json!(project.push_by_job_token);
        shape["ci_cross_project_push_for_job_token_allowed"] = json!(project.cross_project_push);
        shape["ci_job_token_scope_enabled"] = json!(project.outbound.is_some());
    }
    shape
}

fn namespace(forge: &Forge, project: &Project) -> Value {
    let world = forge.world();
    let Some(group) = world.group(project.group) else {
        return Value::Null;
    };
    let name = last_segment(&group.path);
    json!({
        "id": group.id,
        "name": name,
        "path": name,
        "kind": "group",
        "full_path": group.path,
        "parent_id": group.parent,
        "avatar_url": null,
        "web_url": forge.url(&format!("groups/{}", group.path)),
    })
}

/// A member.
pub fn member(forge: &Forge, person: &User, role: Role) -> Value {
    let mut shape = user(forge, person, false);
    shape["access_level"] = json!(role.access_level());
    shape["expires_at"] = Value::Null;
    shape["membership_state"] = json!("active");
    shape
}

/// A job. There is no project id at the top: GitLab has it in the pipeline.
pub fn job(forge: &Forge, job: &Job) -> Value {
    let path = forge.world().project(job.project).map(|project| project.path.clone());
    let path = path.unwrap_or_default();
    let person = job.user.and_then(|id| forge.user(id));
    let sha = forge.heads.get(&job.project).cloned().unwrap_or_default();
    json!({
        "id": job.id,
        "status": job.status.word(),
        "stage": job.stage,
        "name": job.name,
        "ref": job.reference,
        "tag": false,
        "coverage": null,
        "allow_failure": false,
        "created_at": iso(job.created),
        "started_at": job.started.map(iso),
        "finished_at": job.finished.map(iso),
        "erased_at": null,
        "duration": 1.0,
        "queued_duration": 0.1,
        "user": person.map(|person| user(forge, &person, false)),
        "commit": {
            "id": sha,
            "short_id": sha.get(..8),
            "title": "the main",
            "message": "the main",
            "author_name": "stand-in",
            "author_email": "stand-in@forge.invalid",
            "parent_ids": [],
            "web_url": forge.url(&format!("{path}/-/commit/{sha}")),
        },
        "pipeline": {
            "id": job.pipeline(),
            "iid": 1,
            "project_id": job.project,
            "sha": sha,
            "ref": job.reference,
            "status": "running",
            "source": job.source,
            "created_at": iso(job.created),
            "updated_at": iso(job.created),
            "web_url": forge.url(&format!("{path}/-/pipelines/{}", job.pipeline())),
        },
        "web_url": forge.url(&format!("{path}/-/jobs/{}", job.id)),
        "project": { "ci_job_token_scope_enabled": false },
        "artifacts": [],
        "artifacts_expire_at": null,
        "archived": false,
        "runner": job.runner.map(|id| json!({ "id": id, "description": "stand-in" })),
        "runner_manager": null,
        "tag_list": [],
    })
}

/// What GitLab tells a job of itself on behalf of its agents for Kubernetes.
pub fn allowed_agents(forge: &Forge, job: &Job) -> Value {
    let world = forge.world();
    let mut groups = Vec::new();
    let mut next = world.project(job.project).map(|project| project.group);
    while let Some(group) = next.and_then(|id| world.group(id)) {
        groups.push(json!({ "id": group.id }));
        next = group.parent;
    }
    let person = job.user.and_then(|id| forge.user(id));
    json!({
        "allowed_agents": [],
        "job": { "id": job.id },
        "pipeline": { "id": job.pipeline() },
        "project": { "id": job.project, "groups": groups },
        "user": person.map(|person| json!({ "id": person.id, "username": person.username })),
        "environment": job.environment.as_ref().map(|slug| json!({ "slug": slug, "tier": "other" })),
    })
}

/// A pipeline that was just triggered.
pub fn pipeline(forge: &Forge, project: &Project, id: usize, reference: &str, job: &Job) -> Value {
    json!({
        "id": id,
        "iid": id,
        "project_id": project.id,
        "sha": forge.heads.get(&project.id),
        "ref": reference,
        "status": "created",
        "source": "pipeline",
        "user": job.user.and_then(|id| forge.user(id)).map(|person| user(forge, &person, false)),
        "web_url": forge.url(&format!("{}/-/pipelines/{id}", project.path)),
    })
}

/// The settings of the instance that matter here.
pub fn settings(enforced: bool) -> Value {
    let mut shape = Map::new();
    shape.insert("id".into(), json!(1));
    shape.insert("signup_enabled".into(), json!(false));
    shape.insert("enforce_ci_inbound_job_token_scope_enabled".into(), json!(enforced));
    Value::Object(shape)
}
