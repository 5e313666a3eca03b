// Elements, made in one call. Texts are set as texts, so that nothing that was pasted is ever markup.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Says in one place that something was done. */
export function done(text) {
  byId('done').textContent = text;
  setTimeout(() => { if (byId('done').textContent === text) byId('done').textContent = ''; }, 4000);
}

/** Tells those who hear the page what came of it. */
export function say(text) {
  if (byId('said').textContent !== text) byId('said').textContent = text;
}

export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    done(said);
  } catch {
    done('The browser does not let this page copy.');
  }
}

/** A number with its noun. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;
