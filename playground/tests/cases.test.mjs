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

async function hostile() {
  const { schema, rows } = parse(await readFile(join(ROOT, 'cases/hostile-requests.yaml'), 'utf8'));
  const { gitlab_host: forge, registry_host: registry } = schema.defaults;
  return { config: configuration(forge, registry), requests: rows.map(({ id, request }) => [id, wire(request.line, request.host, request.headers ?? [], request.body)]) };
}

async function clients() {
  const lines = (await readFile(join(ROOT, 'cases/client-requests.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line));
  const filled = (text) => text.replaceAll('<JOB_TOKEN>', TOKEN).replace(/base64\(([^)]*)\)/g, (_, login) => btoa(login));
  return { config: configuration('forge.test', 'registry.test'), requests: lines.map((row) =>
    [row.id, wire(`${row.method} ${filled(row.target)} HTTP/1.1`, 'forge.test', row.headers.map(([name, value]) => [name, filled(value)]), filled(row.body ?? ''))]) };
}

/** What the command says: its JSON, or why it cannot be told. */
function commands(config, request) {
  const asked = ['decide', config, '--world', join(ROOT, 'envoy/demo/world.yaml'), '--job', JOB, '--json', '--request', request];
  return new Promise((told) => execFile(process.env.JOBSCOPE, asked, { encoding: 'utf8', maxBuffer: 1 << 24 }, (error, out, said) =>
    told(error?.code === 2 ? said.trim().replace(/^(jobscope|error): /, '') : JSON.parse(out))));
}

for (const [name, load, often] of [['hostile', hostile, 'untouched'], ['clients', clients, 'allow']]) {
  test(`page and command agree on each of the ${name} requests`, async () => {
    const { config, requests } = await load();
    const world = await readFile(join(ROOT, 'envoy/demo/world.yaml'), 'utf8');
    const page = await open();
    const answers = await page.evaluate(async ([config, world, job, requests]) => {
      const rules = await import('./wasm/jobscope.js');
      return requests.map(([, text]) => { const { decided, line } = JSON.parse(rules.decide(config, world, job, text)); return decided ?? line; });
    }, [config, world, JOB, requests]);
    const file = join(folder, `${name}.json`);
    await writeFile(file, config);
    const left = requests.map(([id, text], at) => ({ id, text, at }));
    const judge = async () => {
      for (let one = left.shift(); one; one = left.shift()) {
        const request = join(folder, `${name}-${one.at}.http`);
        await writeFile(request, one.text);
        assert.deepEqual(answers[one.at], await commands(file, request), one.id);
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, judge));
    for (const end of ['deny', often]) assert.ok(answers.filter((answer) => answer.verdict === end).length > 5, end);
    console.log(`${answers.length} requests, ${answers.filter((answer) => typeof answer === 'string').length} of them no requests`);
  });
}
