// A text with numbered lines, and what is wrong with it at its place.

import { h, count } from './dom.js';
import { guard } from './secrets.js';

const MOST = 50;

export class Editor {
  constructor(place, label, rows, clean) {
    this.field = h('textarea', {
      'aria-labelledby': label, 'aria-describedby': `${place.id}-wrong`, class: 'code', rows, wrap: 'off', spellcheck: 'false', autocapitalize: 'off',
      autocomplete: 'off',
    });
    this.gutter = h('pre', { class: 'gutter', 'aria-hidden': 'true' });
    this.list = h('ul', { class: 'problems', id: `${place.id}-wrong`, 'aria-live': 'polite' });
    this.field.addEventListener('scroll', () => { this.gutter.scrollTop = this.field.scrollTop; });
    this.field.addEventListener('input', () => this.number());
    guard(this.field, clean);
    place.append(h('div', { class: 'editor' }, this.gutter, this.field), this.list);
    this.wrong = [];
  }

  get text() { return this.field.value; }

  set text(text) {
    this.field.value = text;
    this.field.scrollTop = 0;
    this.number();
  }

  /** Shows what is wrong. */
  tell(wrong) {
    this.wrong = wrong;
    const errors = wrong.filter((one) => one.weight === 'error').length;
    this.field.setAttribute('aria-invalid', String(errors > 0));
    const left = wrong.length - MOST;
    this.list.replaceChildren(
      ...wrong.slice(0, MOST).map((one) => h('li', { class: one.weight },
        one.line === null ? null : h('button', { type: 'button', class: 'line', onclick: () => this.go(one.line) }, `line ${one.line}`),
        h('span', { class: 'weight' }, one.weight), ' ',
        one.about ? h('code', {}, plain(one.about)) : null, one.about ? ': ' : null, ...marked(one.text))),
      ...(left > 0 ? [h('li', {}, `and ${count(left, 'more')}`)] : []),
    );
    this.number();
  }

  number() {
    const lines = this.field.value.split('\n').length;
    const worst = new Map();
    for (const { line, weight } of this.wrong) if (worst.get(line) !== 'error') worst.set(line, weight);
    this.gutter.replaceChildren(...Array.from({ length: lines }, (_, at) =>
      h('span', { class: worst.get(at + 1) }, `${at + 1}\n`)));
    this.gutter.scrollTop = this.field.scrollTop;
  }

  /** Puts the caret into a line. */
  go(line) {
    const lines = this.field.value.split('\n');
    const begin = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
    this.field.focus();
    this.field.setSelectionRange(begin, begin + (lines[line - 1] ?? '').length);
    this.field.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(this.field).lineHeight));
  }
}

const plain = (text) => text.replaceAll('`', '');

/** A sentence whose words in backticks are code. */
export function marked(text) {
  return text.split('`').map((part, at) => (at % 2 ? h('code', {}, part) : part)).filter((part) => part !== '');
}
