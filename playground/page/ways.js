// What may be done, told in few rows.

import { h } from './dom.js';

/** Groups what is the same: by a key, the users and actions of each. */
export function grouped(ways, key) {
  const groups = new Map();
  for (const way of ways) {
    const name = JSON.stringify(key(way));
    const group = groups.get(name) ?? { key: key(way), users: new Set(), actions: new Set() };
    group.users.add(way.user ?? 'nobody');
    group.actions.add(way.action);
    groups.set(name, group);
  }
  return [...groups.values()];
}

/** A table that is scrolled by itself where it is too wide. */
export function table(label, columns, rows) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, h('table', {},
    h('thead', {}, h('tr', {}, columns.map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, rows.map(([first, ...cells]) => h('tr', {}, h('th', { scope: 'row' }, first), cells.map((cell) => h('td', {}, cell)))))));
}

/** Words, each as code. */
export const codes = (words) => [...words].flatMap((word, at) => [at ? ', ' : '', h('code', {}, word)]);
