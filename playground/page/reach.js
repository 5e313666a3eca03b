// Who reaches what: origins by targets, of one action or of all.

import { count, h } from './dom.js';
import { codes, grouped, table } from './ways.js';

export class Reach {
  constructor(place, known, shortened, asked) {
    this.shortened = shortened;
    this.place = place;
    this.action = h('select', { id: 'action', onchange: () => asked(this.action.value) },
      h('option', { value: '' }, 'everything'),
      known.actions.map(({ action }) => h('option', { value: action }, action)));
    this.says = new Map(known.actions.map(({ action, says }) => [action, says]));
    this.head = h('p', { class: 'row' }, h('label', { for: 'action' }, 'What is done'), this.action);
    this.about = h('p', { class: 'hint' });
    this.body = h('div');
    this.detail = h('div', { 'aria-live': 'polite' });
    place.replaceChildren(this.head, this.about, this.body, this.detail);
  }

  show(found, action) {
    this.action.value = action;
    this.about.textContent = `${this.says.get(action) ?? 'How many actions are open.'} By jobs that developers and above start with a push to the main branch.`;
    this.detail.replaceChildren();
    if (!found || !found.projects.length) {
      this.body.replaceChildren(h('p', { class: 'empty' }, found ? 'The world has no projects.' : 'There is no answer until what is marked can be read.'));
      return;
    }
    const cells = new Map();
    for (const way of found.reach.ways) {
      const key = `${way.origin}\n${way.target}`;
      cells.set(key, [...(cells.get(key) ?? []), way]);
    }
    const cell = (origin, target) => {
      const ways = cells.get(`${origin}\n${target}`) ?? [];
      const actions = new Set(ways.map((way) => way.action)).size;
      if (!actions) return h('td', { class: 'none' }, h('span', { 'aria-label': `${origin} at ${target}: nothing` , role: 'img' }, '·'));
      const observed = ways.every((way) => way.verdict === 'observe-deny');
      const sign = observed ? '◐' : action ? '✓' : String(actions);
      const said = observed ? 'only observed' : action ? 'allowed' : count(actions, 'action');
      return h('td', { class: `open${origin === target ? ' own' : ''}${observed ? ' observed' : ''}` }, h('button', {
        type: 'button', 'aria-pressed': 'false', 'aria-label': `${origin} at ${target}: ${said}`,
        onclick: (event) => this.tell(event.currentTarget, origin, target, ways),
      }, sign));
    };
    this.body.replaceChildren(
      h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Origins by targets' }, h('table', { class: 'matrix' },
        h('caption', {}, 'From the origins on the left to the targets above'),
        h('thead', {}, h('tr', {}, h('td', {}), found.projects.map((target) => h('th', { scope: 'col' }, h('span', {}, target))))),
        h('tbody', {}, found.projects.map((origin) => h('tr', {}, h('th', { scope: 'row' }, origin), found.projects.map((target) => cell(origin, target))))))),
      h('p', { class: 'hint' }, 'Choose a cell to see who, what and why.'));
  }

  tell(button, origin, target, ways) {
    for (const other of this.body.querySelectorAll('[aria-pressed=true]')) other.setAttribute('aria-pressed', 'false');
    button.setAttribute('aria-pressed', 'true');
    const rows = grouped(ways, (way) => [way.reason, way.verdict, way.user]);
    const alike = new Map();
    for (const { key: [reason, verdict, user], actions } of rows) {
      const name = JSON.stringify([reason, verdict, [...actions]]);
      const one = alike.get(name) ?? { reason, verdict, actions, users: [] };
      one.users.push(user ?? 'nobody');
      alike.set(name, one);
    }
    this.detail.replaceChildren(
      h('h3', {}, `Jobs of ${origin} at ${target}`),
      table(`Jobs of ${origin} at ${target}`, ['Because', 'Started by', 'Actions'], [...alike.values()].map((one) =>
        [[h('code', {}, one.reason), one.verdict === 'observe-deny' ? ' observed' : ''], one.users.join(', '), codes(this.shortened(one.actions))])));
  }
}
