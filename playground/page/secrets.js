// No secret gets into a field, nor out of it into the page's address: texts are cleaned before they arrive.

/** Has all that comes into a field cleaned: pasted, dropped or typed. */
export function guard(field, clean) {
  const put = (text, caret) => {
    field.value = text;
    field.setSelectionRange(caret, caret);
    field.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const inserted = (event, text) => {
    const before = field.value.slice(0, field.selectionStart) + text;
    const behind = field.value.slice(field.selectionEnd);
    const next = clean(before + behind);
    if (next === before + behind) return;
    event.preventDefault();
    put(next, Math.max(0, next.length - behind.length));
  };
  field.addEventListener('beforeinput', (event) => {
    const text = event.data ?? event.dataTransfer?.getData('text/plain');
    if (text) inserted(event, text);
  });
  // Whatever came in by another way.
  field.addEventListener('input', () => {
    const next = clean(field.value);
    if (next !== field.value) put(next, next.length);
  });
}
