// What the page begins with, and what can be picked.

const CONFIG = `mode: enforce
forge:
  hosts: [gitlab.example.com]
  registry_hosts: [registry.example.com]
lookup:
  cluster: token-lookup
  authority: gitlab.example.com
  credential_env: JOBSCOPE_LOOKUP_TOKEN
access:
  deny:
    # What goes to production goes there from a branch.
    - id: production-not-from-merge-requests
      targets: [infra/production]
      when: {source: [merge_request_event]}
`;

const WORLD = `users:
  - {id: 1, username: dana}
  - {id: 2, username: mia}
  - {id: 3, username: nora}
  - {id: 4, username: ada, admin: true}
groups:
  - {id: 1, path: apps}
  - {id: 2, path: libs, members: {mia: maintainer}}
  - {id: 3, path: infra, members: {mia: maintainer}}
projects:
  - id: 101
    path: apps/web
    members: {dana: developer, nora: developer}
  - id: 102
    path: apps/deploy
    members: {dana: developer}
    allowlist: {projects: [apps/web]}
  - id: 103
    path: libs/common
    members: {dana: reporter}
    allowlist: {projects: [apps/web]}
  # Every project below apps is let in.
  - id: 104
    path: libs/images
    members: {dana: reporter}
    allowlist: {groups: [apps]}
  # Dana may read it; the allowlist names nobody.
  - id: 105
    path: infra/secrets
    members: {dana: developer}
    allowlist: {}
  - id: 106
    path: infra/production
    members: {dana: developer}
    allowlist: {projects: [apps/deploy]}
  - id: 107
    path: libs/open
    visibility: public
    allowlist: {}
`;

const FIRST = {
  line: 'git clone https://gitlab-ci-token:$CI_JOB_TOKEN@gitlab.example.com/infra/secrets.git',
  job: 'apps/web@main as dana',
  config: CONFIG,
  world: WORLD,
  other: '',
  view: 'decision',
  action: 'git.read',
};

export const EXAMPLES = [
  { name: 'A clone that the allowlist does not name', ...FIRST },
  { name: 'A clone that it names', ...FIRST, line: 'git clone https://gitlab-ci-token:$CI_JOB_TOKEN@gitlab.example.com/libs/common.git' },
  { name: 'An image that a group may pull', ...FIRST, line: 'docker pull registry.example.com/libs/images:v1' },
  {
    name: 'A package by curl',
    ...FIRST,
    line: 'curl --header "JOB-TOKEN: $CI_JOB_TOKEN" "$CI_API_V4_URL/projects/libs%2Fcommon/packages/generic/tool/1.0/tool.txt"',
  },
  { name: 'A push that takes two changes', ...FIRST, line: 'git push https://gitlab-ci-token:$CI_JOB_TOKEN@gitlab.example.com/libs/common.git' },
  { name: 'A project that stays hidden', ...FIRST, job: 'apps/web@main as nora', line: 'git clone $CI_SERVER_URL/libs/common.git' },
  {
    name: 'Production, from a merge request',
    ...FIRST,
    job: 'apps/deploy@main as dana by merge_request_event',
    line: 'git clone $CI_SERVER_URL/infra/production.git',
  },
  { name: 'The same clone, only observed', ...FIRST, config: CONFIG.replace('enforce', 'observe') },
  { name: 'A request on the wire', ...FIRST, line: 'GET /api/v4/projects/103/repository/tags HTTP/1.1\nHost: gitlab.example.com\nJOB-TOKEN: $CI_JOB_TOKEN\n' },
  { name: 'Who reaches what', ...FIRST, view: 'reach', action: 'git.read' },
  {
    name: 'A stricter configuration, side by side',
    ...FIRST,
    view: 'compare',
    other: `${CONFIG}    - id: images-for-web-alone
      origins: [apps/deploy]
      targets: [libs/images]
  allow:
    - id: web-reads-secrets
      origins: [apps/web]
      targets: [infra/secrets]
      actions: [git.read]
`,
  },
];
