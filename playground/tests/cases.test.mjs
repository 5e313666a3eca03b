// Two skins, one core: for each request of `cases/` the page says what the command says.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { close, open } from './browser.mjs';

const ROOT = new URL('../..', import.meta.url).pathname;
const JOB = 'apps/web@main as dana';
const TOKEN = 'glcbt-64_danaBuildsWeb000001';
/** How many commands run at a time. */
const WIDTH = 4;

const folder = await mkdtemp(join(tmpdir(), 'jobscope-'));
after(async () => { await close(); await rm(folder, { recursive: true }); });

const configuration = (forge, registry) => JSON.stringify({
  forge: { hosts: [forge], registry_hosts: [registry] },
  lookup: { cluster: 'c', authority: forge, credential_env: 'E' },
});

const wire = (line, host, headers, body) =>
  [line, ...(host ? [`Host: ${host}`] : []), ...headers.map(([name, value]) => `${name}: ${value}`), '', body ?? ''].join('\n');

const DEMO = await readFile(join(ROOT, 'envoy/demo/world.yaml'), 'utf8');
const demos = (config, requests) => requests.map(([id, request]) => ({ id, config, world: DEMO, job: JOB, request }));

async function hostile() {
  const { schema, rows } = parse(await readFile(join(ROOT, 'cases/hostile-requests.yaml'), 'utf8'));
  const { gitlab_host: forge, registry_host: registry } = schema.defaults;
  return demos(configuration(forge, registry),
    rows.map(({ id, request }) => [id, wire(request.line, request.host, request.headers ?? [], request.body)]));
}

async function clients() {
  const lines = (await readFile(join(ROOT, 'cases/client-requests.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  const filled = (text) => text.replaceAll('<JOB_TOKEN>', TOKEN).replace(/base64\(([^)]*)\)/g, (_, login) => btoa(login));
  return demos(configuration('forge.test', 'registry.test'), lines.map((row) =>
    [row.id, wire(`${row.method} ${filled(row.target)} HTTP/1.1`, 'forge.test', row.headers.map(([name, value]) => [name, filled(value)]), filled(row.body ?? ''))]));
}

/** What GitLab decides, each row in a world of its own. */
async function gitlab() {
  const rows = ['worlds', join(ROOT, 'cases/gitlab-cases.yaml'), '--exceptions', join(ROOT, 'cases/conformance-exceptions.yaml')];
  const lines = (await said(process.env.JOBSCOPE_CASES, rows)).trim().split('\n').map((line) => JSON.parse(line));
  return lines.map(({ id, config, world, job, request }) =>
    ({ id, config: JSON.stringify(config), world: JSON.stringify(world), job, request }));
}

const said = (program, words) => new Promise((told, failed) =>
  execFile(program, words, { encoding: 'utf8', maxBuffer: 1 << 26 }, (error, out) => error ? failed(error) : told(out)));

/** What the command says: its JSON, or why it cannot be told. */
function commands({ config, world, job, request }) {
  const asked = ['decide', config, '--world', world, '--job', job, '--json', '--request', request];
  return new Promise((told) => execFile(process.env.JOBSCOPE, asked, { encoding: 'utf8', maxBuffer: 1 << 24 }, (error, out, said) =>
    told(error?.code === 2 ? said.trim().replace(/^(jobscope|error): /, '') : JSON.parse(out))));
}

for (const [name, load, often] of [['hostile', hostile, 'untouched'], ['clients', clients, 'allow'], ['gitlab', gitlab, 'allow']]) {
  test(`page and command agree on each of the ${name} requests`, async () => {
    const cases = await load();
    const page = await open();
    const answers = await page.evaluate(async (cases) => {
      const rules = await import('./wasm/jobscope.js');
      return cases.map(({ config, world, job, request }) => {
        const { decided, line } = JSON.parse(rules.decide(config, world, job, request));
        return decided ?? line;
      });
    }, cases);
    const left = cases.map((one, at) => ({ one, at }));
    const judge = async () => {
      for (let next = left.shift(); next; next = left.shift()) {
        const { one, at } = next;
        const file = (kind) => join(folder, `${name}-${at}.${kind}`);
        await Promise.all(['config', 'world', 'request'].map((kind) => writeFile(file(kind), one[kind])));
        const asked = { config: file('config'), world: file('world'), job: one.job, request: file('request') };
        assert.deepEqual(answers[at], await commands(asked), one.id);
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, judge));
    for (const end of ['deny', often]) assert.ok(answers.filter((answer) => answer.verdict === end).length > 5, end);
    console.log(`${answers.length} requests, ${answers.filter((answer) => typeof answer === 'string').length} of them no requests`);
  });
}
