// Two configurations side by side, and what ends otherwise.

import { count, h, say } from './dom.js';
import { Editor } from './editor.js';
import { codes, grouped, table } from './ways.js';

export class Compare {
  constructor(place, { cleaned, shortened }, current, changed) {
    this.shortened = shortened;
    const editor = h('div', { id: 'other' });
    this.body = h('div');
    place.replaceChildren(
      h('p', { class: 'row' }, h('strong', { id: 'of-other' }, 'Another configuration'),
        h('button', { type: 'button', onclick: () => { this.editor.text = current(); changed(); } }, 'Start from the one beside')),
      editor, this.body);
    this.editor = new Editor(editor, 'of-other', 14, cleaned);
    this.editor.field.addEventListener('input', changed);
  }

  show({ wrong, found }) {
    if (!this.editor.text.trim()) {
      this.editor.tell([]);
      this.body.replaceChildren(h('p', { class: 'empty' }, 'Write another configuration, to see what it changes.'));
      return;
    }
    this.editor.tell(wrong);
    if (!found) {
      this.body.replaceChildren(h('p', { class: 'empty' }, 'There is no answer until what is marked can be read.'));
      return;
    }
    const { differences } = found;
    if (!differences.length) {
      say('Nothing ends otherwise');
      this.body.replaceChildren(h('h3', {}, 'Nothing ends otherwise'));
      return;
    }
    const turns = differences.map(({ old, new: now }) => ({ ...now, turn: `${old.verdict} → ${now.verdict}`, reason: now.reason }));
    const rows = grouped(turns, (way) => [way.turn, way.origin, way.target, way.reason]);
    const turn = (text) => text.split(' → ').flatMap((word, at) => [at ? ' → ' : '', h('span', { class: `word ${word}` }, word)]);
    const heading = `${count(differences.length, 'answer')} would be another`;
    say(heading);
    this.body.replaceChildren(
      h('h3', {}, heading),
      table('What ends otherwise', ['Origin', 'Target', 'Turns', 'Because', 'Started by', 'Actions'], rows.map(({ key: [text, origin, target, reason], users, actions }) =>
        [origin, target, h('span', { class: 'turn' }, turn(text)), h('code', {}, reason), [...users].join(', '), codes(this.shortened(actions))])));
  }
}
