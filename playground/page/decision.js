// One decision: how it ends, what the client gets, what would turn it around, what each rule said.

import { copy, count, h, say } from './dom.js';
import { marked } from './editor.js';

const ENDS = {
  allow: ['Allowed', 'What would deny it'],
  deny: ['Denied', 'What would let it pass'],
  'observe-deny': ['Observed: it goes on, and would be denied', 'What would let it pass'],
  untouched: ['Untouched', ''],
};

export function decision(place, { decided, told }, known) {
  say(decided ? `${ENDS[decided.verdict][0]}: ${decided.reason ?? ''}` : 'No answer');
  if (!decided) {
    place.replaceChildren(h('p', { class: 'empty' }, 'There is no answer until what is marked can be read.'));
    return;
  }
  // A client stops at its first request that is denied.
  const speaks = decided.requests.find((request) => request.verdict === decided.verdict) ?? decided.requests[0];
  place.replaceChildren(
    ...(told ? [logged(told)] : []),
    verdict(decided, speaks),
    ...changes(decided),
    ...answer(speaks),
    ...rules(speaks, known),
  );
}

function logged(told) {
  return h('aside', { class: 'told' },
    h('h3', {}, 'The log says'),
    h('p', {}, h('strong', { class: `word ${told.verdict}` }, told.verdict), ' ', ...marked(told.says)),
    told.denials.length ? h('ul', {}, told.denials.map((one) =>
      h('li', {}, h('code', {}, one.rule), ` at ${one.target}: ${one.who} can do something about it`))) : null,
    h('p', { class: 'hint' }, 'Below is what this configuration and this world say.'));
}

function verdict(decided, speaks) {
  const asks = speaks.action
    ? [h('code', {}, speaks.action), speaks.target && speaks.target !== '-' ? [' of ', h('code', {}, speaks.target)] : []]
    : ['nothing that a job’s token stands in'];
  const rows = [
    ['job', [decided.job]],
    ['asks', asks.flat()],
    decided.reason ? ['reason', [h('code', {}, decided.reason)]] : null,
    decided.rule ? ['rule', [h('code', {}, decided.rule)]] : null,
    ['request', [h('code', { class: 'long' }, `${speaks.method} ${speaks.authority}${speaks.path}`)]],
  ].filter(Boolean);
  const more = decided.requests.length - 1;
  return h('div', { class: `verdict ${decided.verdict}` },
    h('h3', {}, ENDS[decided.verdict][0]),
    h('p', { class: 'why' }, speaks.why ? sentence(speaks.why) : 'No job’s token stands in it, so jobscope leaves it to the forge.'),
    h('dl', {}, rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value)))),
    more > 0 ? h('p', { class: 'hint' }, `The command sends ${count(more, 'more request')}: `,
      decided.requests.filter((one) => one !== speaks).map((one, at) => [at ? ', ' : '', h('code', { class: 'long' }, `${one.method} ${one.path}`), ` ${one.verdict}`]).flat()) : null);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + '.';

function changes(decided) {
  const heading = ENDS[decided.verdict][1];
  if (!heading) return [];
  if (!decided.changes.length) {
    return decided.verdict === 'allow' ? [] : [h('h3', {}, heading), h('p', { class: 'empty' }, 'Nothing that somebody could set.')];
  }
  return [
    h('h3', {}, heading),
    h('p', { class: 'hint' }, decided.changes.length > 1 ? 'Any one of these; the narrowest first.' : 'This, and nothing less.'),
    h('ol', { class: 'changes' }, decided.changes.map((set) => h('li', {}, set.map((change, at) => h('div', {},
      h('p', {}, at ? h('em', {}, 'and ') : null, ...marked(change.change)),
      h('p', { class: 'who' }, change.who, change.users.length ? `: ${change.users.join(', ')}` : ''),
      h('div', { class: 'how' }, h('code', {}, change.how),
        h('button', { type: 'button', onclick: () => copy(change.how, 'Copied.'), 'aria-label': `Copy: ${change.how}` }, 'Copy'))))))),
  ];
}

function answer(speaks) {
  if (speaks.answer) return [h('h3', {}, 'The client gets'), h('pre', { class: 'bytes', tabindex: '0', role: 'region', 'aria-label': 'The answer, byte for byte' }, speaks.answer)];
  if (speaks.verdict === 'deny') return [h('p', {}, 'It goes on without its token, and the forge answers as to anybody.')];
  return [];
}

function rules(speaks, known) {
  if (!speaks.walk?.length) return [];
  const facts = new Map(known.rules.map((rule) => [rule.rule, rule]));
  const row = ({ rule, said, why }) => {
    const looked = (facts.get(rule)?.facts ?? []).filter((name) => name in speaks.facts);
    return h('tr', { class: `${said}${rule === speaks.rule?.split(':')[0] ? ' decides' : ''}` },
      h('th', { scope: 'row', title: facts.get(rule)?.says }, rule),
      h('td', {}, h('span', { class: `word ${said}` }, said)),
      h('td', { class: 'facts' }, looked.map((name) => h('span', {}, `${name} `, h('b', {}, plain(speaks.facts[name]))))),
      h('td', { class: 'why' }, why));
  };
  return [
    h('h3', {}, 'The rules, in their order'),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'The rules, in their order' }, h('table', { class: 'rules' },
      h('thead', {}, h('tr', {}, ['Rule', 'Says', 'Looked at', 'Why'].map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', {}, speaks.walk.map(row)))),
  ];
}

const plain = (fact) => ({ true: 'yes', false: 'no' })[fact] ?? String(fact);
