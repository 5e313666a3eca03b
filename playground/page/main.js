// Ties the page together: what is written goes to the rules, and what they say is shown.

import { Compare } from './compare.js';
import { decision } from './decision.js';
import { byId, copy, done, h } from './dom.js';
import { Editor } from './editor.js';
import { EXAMPLES } from './examples.js';
import { load } from './load.js';
import { Reach } from './reach.js';
import { guard } from './secrets.js';
import { read, written } from './state.js';

/** How long nothing is typed before the address is written anew, in milliseconds. */
const PAUSE = 250;
const VIEWS = ['decision', 'reach', 'compare'];

const rules = await load();
const { cleaned } = rules;
const known = JSON.parse(rules.known());
const shortened = (actions) => JSON.parse(rules.shortened([...actions].join(' ')));

const line = byId('line');
const job = byId('job');
const config = new Editor(byId('config'), 'of-config', 16, cleaned);
const world = new Editor(byId('world'), 'of-world', 22, cleaned);
const compare = new Compare(byId('compare'), { cleaned, shortened }, () => config.text, changed);
const reach = new Reach(byId('reach'), known, shortened, (action) => { state.action = action; changed(); });

/** What is in no field. */
const state = { view: 'decision', action: 'git.read', told: null };

function whole() {
  return { line: line.value, job: job.value, config: config.text, world: world.text, other: compare.editor.text, ...state };
}

function fill(next) {
  line.value = next.line;
  job.value = next.job;
  config.text = next.config;
  world.text = next.world;
  compare.editor.text = next.other;
  Object.assign(state, { view: VIEWS.includes(next.view) ? next.view : VIEWS[0], action: known.actions.some(({ action }) => action === next.action) ? next.action : '', told: null });
  show();
}

/** Decides anew, and shows it. */
function show() {
  const begin = performance.now();
  const answer = JSON.parse(rules.decide(config.text, world.text, job.value, line.value));
  performance.measure('decide', { start: begin });
  config.tell(answer.config);
  world.tell(answer.world);
  tell(line, answer.line);
  tell(job, answer.job);
  byId('jobs').replaceChildren(...answer.jobs.map((label) => h('option', { value: label })));
  byId('save').disabled = !answer.decided;
  for (const view of VIEWS) {
    const tab = byId(`tab-${view}`);
    const isShown = view === state.view;
    tab.setAttribute('aria-selected', String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    byId(view).hidden = !isShown;
  }
  if (state.view === 'reach') reach.show(JSON.parse(rules.matrix(config.text, world.text, state.action)), state.action);
  else if (state.view === 'compare') compare.show(JSON.parse(rules.compare(config.text, compare.editor.text, world.text)));
  else decision(byId('decision'), { decided: answer.decided, told: state.told }, known);
}

function tell(field, wrong) {
  byId(`${field.id}-wrong`).textContent = wrong ?? '';
  field.setAttribute('aria-invalid', String(Boolean(wrong)));
}

let written_by_us = location.hash;
let pause;
function changed() {
  show();
  clearTimeout(pause);
  pause = setTimeout(remember, PAUSE);
}

async function remember() {
  written_by_us = await written(whole());
  history.replaceState(null, '', written_by_us);
}

// What is pasted over a whole request is looked through for what can be asked.
line.addEventListener('paste', (event) => {
  const text = event.clipboardData?.getData('text/plain') ?? '';
  if (line.selectionStart !== 0 || line.selectionEnd !== line.value.length || !text) return;
  event.preventDefault();
  const pasted = JSON.parse(rules.pasted(cleaned(text)));
  line.value = pasted.line;
  if (pasted.job) job.value = pasted.job;
  state.told = pasted.told;
  changed();
});
line.addEventListener('focus', () => line.select());
line.addEventListener('input', () => { state.told = null; });
for (const field of [line, job]) {
  guard(field, cleaned);
  field.addEventListener('input', changed);
  field.readOnly = false;
}
for (const editor of [config, world]) editor.field.addEventListener('input', changed);

byId('tab-decision').parentElement.addEventListener('click', ({ target }) => open(target));
byId('tab-decision').parentElement.addEventListener('keydown', (event) => {
  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  const at = VIEWS.indexOf(state.view);
  const next = { Home: 0, End: VIEWS.length - 1 }[event.key] ?? (event.key in steps ? (at + steps[event.key] + VIEWS.length) % VIEWS.length : null);
  if (next === null) return;
  event.preventDefault();
  open(byId(`tab-${VIEWS[next]}`));
});

function open(tab) {
  const view = tab.getAttribute('aria-controls');
  if (!view) return;
  state.view = view;
  tab.focus();
  changed();
}

const examples = byId('examples');
examples.append(...EXAMPLES.map(({ name }, at) => h('option', { value: at }, name)));
examples.addEventListener('change', () => { fill(EXAMPLES[examples.value]); remember(); });

byId('share').addEventListener('click', async () => { await remember(); copy(location.href, 'The link is copied.'); });
byId('save').addEventListener('click', () => {
  const text = rules.test(config.text, world.text, job.value, line.value);
  if (!text) return;
  const address = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }));
  h('a', { href: address, download: 'policy-test.yaml' }).click();
  URL.revokeObjectURL(address);
  done('Saved: jobscope test policy-test.yaml');
});

async function arrive() {
  const found = location.hash.length > 1 ? await read(location.hash, cleaned) : null;
  if (location.hash.length > 1 && !found) done('This link is damaged; here is an example.');
  fill(found ?? EXAMPLES[0]);
  // A link that came with a secret keeps none.
  if (location.hash.length > 1) await remember();
}
addEventListener('hashchange', () => { if (location.hash !== written_by_us) arrive(); });
await arrive();
document.documentElement.dataset.ready = 'yes';
