-- The tables that the views read, with those of their columns that matter, as xorm makes them for Gitea's and Forgejo's models: an
-- `int` is an INTEGER, an `int64` a BIGINT, a `string` a VARCHAR(255). `reader` is a table beside them.
CREATE TABLE "user" (id BIGSERIAL PRIMARY KEY, lower_name VARCHAR(255) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL UNIQUE,
    passwd VARCHAR(255) NOT NULL DEFAULT '', type INTEGER, is_active BOOL, is_admin BOOL, is_restricted BOOL NOT NULL DEFAULT false,
    prohibit_login BOOL NOT NULL DEFAULT false, visibility INTEGER NOT NULL DEFAULT 0);
CREATE TABLE repository (id BIGSERIAL PRIMARY KEY, owner_id BIGINT, owner_name VARCHAR(255), lower_name VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL, is_private BOOL, is_archived BOOL, UNIQUE (owner_id, lower_name));
CREATE TABLE repo_unit (id BIGSERIAL PRIMARY KEY, repo_id BIGINT, type INTEGER, config TEXT, created_unix BIGINT);
CREATE TABLE user_setting (id BIGSERIAL PRIMARY KEY, user_id BIGINT, setting_key VARCHAR(255), setting_value TEXT,
    UNIQUE (user_id, setting_key));
CREATE TABLE action_run (id BIGSERIAL PRIMARY KEY, repo_id BIGINT, owner_id BIGINT, workflow_id VARCHAR(255), trigger_user_id BIGINT,
    ref VARCHAR(255), is_fork_pull_request BOOL, event VARCHAR(255), trigger_event VARCHAR(255), status INTEGER);
CREATE TABLE action_run_job (id BIGSERIAL PRIMARY KEY, run_id BIGINT, repo_id BIGINT, owner_id BIGINT, is_fork_pull_request BOOL,
    name VARCHAR(255), attempt BIGINT, task_id BIGINT, status INTEGER);
CREATE TABLE action_task (id BIGSERIAL PRIMARY KEY, job_id BIGINT, attempt BIGINT, runner_id BIGINT, status INTEGER, started BIGINT,
    stopped BIGINT, repo_id BIGINT, owner_id BIGINT, is_fork_pull_request BOOL, token_hash VARCHAR(255) UNIQUE,
    token_salt VARCHAR(255), token_last_eight VARCHAR(255));
CREATE INDEX ON action_task (token_last_eight);
CREATE TABLE access_token (id BIGSERIAL PRIMARY KEY, uid BIGINT, name VARCHAR(255), token_hash VARCHAR(255) UNIQUE,
    token_salt VARCHAR(255), token_last_eight VARCHAR(255), scope VARCHAR(255));
CREATE TABLE access (id BIGSERIAL PRIMARY KEY, user_id BIGINT, repo_id BIGINT, mode INTEGER, UNIQUE (user_id, repo_id));
CREATE TABLE collaboration (id BIGSERIAL PRIMARY KEY, repo_id BIGINT NOT NULL, user_id BIGINT NOT NULL, mode INTEGER NOT NULL DEFAULT 2,
    UNIQUE (repo_id, user_id));
CREATE TABLE team (id BIGSERIAL PRIMARY KEY, org_id BIGINT, lower_name VARCHAR(255), name VARCHAR(255), authorize INTEGER);
CREATE TABLE team_user (id BIGSERIAL PRIMARY KEY, org_id BIGINT, team_id BIGINT, uid BIGINT, UNIQUE (team_id, uid));
CREATE TABLE team_repo (id BIGSERIAL PRIMARY KEY, org_id BIGINT, team_id BIGINT, repo_id BIGINT, UNIQUE (team_id, repo_id));
CREATE TABLE team_unit (id BIGSERIAL PRIMARY KEY, org_id BIGINT, team_id BIGINT, type INTEGER, access_mode INTEGER, UNIQUE (team_id, type));

INSERT INTO "user" (id, lower_name, name, type, is_active, is_admin, visibility) VALUES
    (1, 'apps', 'Apps', 1, true, false, 0), (2, 'libs', 'libs', 1, true, false, 0), (3, 'inner', 'inner', 1, true, false, 1),
    (4, 'secret', 'secret', 1, true, false, 2),
    (11, 'dana', 'Dana', 0, true, false, 0), (12, 'rae', 'rae', 0, true, false, 0), (13, 'bo', 'bo', 0, true, false, 0),
    (14, 'ada', 'ada', 0, true, true, 0);
UPDATE "user" SET is_restricted = true WHERE id = 12;
INSERT INTO repository (id, owner_id, owner_name, lower_name, name, is_private, is_archived) VALUES
    (101, 1, 'Apps', 'web', 'Web', true, false), (102, 2, 'libs', 'common', 'common', true, false),
    (103, 1, 'Apps', 'shared', 'shared', true, false), (104, 2, 'libs', 'open', 'open', false, false),
    (105, 3, 'inner', 'tool', 'tool', false, true), (106, 4, 'secret', 'open', 'open', false, false),
    (107, 11, 'Dana', 'own', 'own', true, false);
INSERT INTO repo_unit (repo_id, type, config) SELECT id, type, '{}' FROM repository, unnest(ARRAY[1, 2, 3, 4, 10]) AS type;
INSERT INTO action_run (id, repo_id, trigger_user_id, ref, is_fork_pull_request, event, trigger_event, status)
    VALUES (501, 101, 11, 'refs/heads/main', false, 'push', 'push', 6);
INSERT INTO action_run_job (id, run_id, repo_id, is_fork_pull_request, attempt, task_id, status) VALUES (601, 501, 101, false, 1, 1001, 6);
