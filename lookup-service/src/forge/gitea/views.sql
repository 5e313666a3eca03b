-- What jobscope's lookup service reads of a Gitea or a Forgejo, on PostgreSQL: views in a schema of their own, and a role that reads
-- them and nothing else. Run it in the forge's database, as the role that owns the forge's tables:
--
--     psql --single-transaction --set ON_ERROR_STOP=1 --dbname gitea --file jobscope-views.sql
--
-- A view keeps the forge from changing the columns that it has. So before each upgrade of the forge
--
--     DROP SCHEMA IF EXISTS jobscope CASCADE;
--
-- and this file again after it. In between the lookup service answers 503.

CREATE SCHEMA jobscope;

-- One row for each run of a job on a runner. Nothing that it belongs to has to be there: no row goes missing with it.
CREATE VIEW jobscope.task AS
SELECT task.id::bigint AS id, task.status::bigint AS status, task.repo_id::bigint AS repository_id,
    task.token_hash::text AS token_hash, task.token_salt::text AS token_salt, task.token_last_eight::text AS token_last_eight,
    coalesce(task.is_fork_pull_request, false) OR coalesce(run.is_fork_pull_request, false) AS is_fork,
    run.ref::text AS ref, run.trigger_event::text AS trigger_event,
    owner.lower_name::text AS owner, repository.lower_name::text AS name,
    person.id::bigint AS user_id, person.lower_name::text AS user_name,
    coalesce(person.is_active, false) AS is_active, coalesce(person.prohibit_login, false) AS is_blocked
FROM public.action_task task
LEFT JOIN public.action_run_job job ON job.id = task.job_id
LEFT JOIN public.action_run run ON run.id = job.run_id
LEFT JOIN public.repository repository ON repository.id = task.repo_id
LEFT JOIN public."user" owner ON owner.id = repository.owner_id
LEFT JOIN public."user" person ON person.id = run.trigger_user_id;

-- The hashes of people's access tokens, without whose they are.
CREATE VIEW jobscope.access_token AS
SELECT token_hash::text AS token_hash, token_salt::text AS token_salt, token_last_eight::text AS token_last_eight
FROM public.access_token;

CREATE VIEW jobscope.repository AS
SELECT repository.id::bigint AS id, repository.owner_id::bigint AS owner_id, owner.lower_name::text AS owner,
    repository.lower_name::text AS name, coalesce(repository.is_private, true) AS is_private,
    owner.visibility::bigint AS owner_visibility, coalesce(repository.is_archived, false) AS is_archived,
    ARRAY(SELECT unit.type::bigint FROM public.repo_unit unit WHERE unit.repo_id = repository.id) AS units,
    (SELECT unit.config::text FROM public.repo_unit unit WHERE unit.repo_id = repository.id AND unit.type = 10 LIMIT 1) AS actions,
    (SELECT setting.setting_value::text FROM public.user_setting setting
        WHERE setting.user_id = repository.owner_id AND setting.setting_key = 'actions.config' LIMIT 1) AS owner_actions
FROM public.repository repository
JOIN public."user" owner ON owner.id = repository.owner_id;

CREATE VIEW jobscope.person AS
SELECT id::bigint AS id, is_restricted FROM public."user";

CREATE VIEW jobscope.access AS
SELECT user_id::bigint AS user_id, repo_id::bigint AS repository_id, mode::bigint AS mode FROM public.access;

CREATE VIEW jobscope.collaboration AS
SELECT user_id::bigint AS user_id, repo_id::bigint AS repository_id, mode::bigint AS mode FROM public.collaboration;

-- What teams let their members do: all in all, and with code.
CREATE VIEW jobscope.team AS
SELECT member.uid::bigint AS user_id, of_team.repo_id::bigint AS repository_id, team.authorize::bigint AS mode,
    unit.access_mode::bigint AS code
FROM public.team_user member
JOIN public.team team ON team.id = member.team_id
JOIN public.team_repo of_team ON of_team.team_id = team.id
LEFT JOIN public.team_unit unit ON unit.team_id = team.id AND unit.type = 1;

-- The role of the service. Give it a password, or let it in by its certificate or at the socket (pg_hba.conf).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jobscope') THEN
        CREATE ROLE jobscope LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT CONNECTION LIMIT 50;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA jobscope TO jobscope;
GRANT SELECT ON ALL TABLES IN SCHEMA jobscope TO jobscope;
