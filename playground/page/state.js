// The whole state of the page, in the part of its address that browsers do not send.

const KEYS = ['line', 'job', 'config', 'world', 'other', 'view', 'action'];

async function through(bytes, stream) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

/** A state as a fragment. */
export async function written(state) {
  const text = JSON.stringify(KEYS.map((key) => state[key] ?? ''));
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream('deflate-raw'));
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return '#' + btoa(letters).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The state of a fragment, or `null` where it is none. `clean` is applied to each text: a link may come from anywhere. */
export async function read(fragment, clean) {
  try {
    const letters = atob(fragment.slice(1).replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const values = JSON.parse(new TextDecoder().decode(await through(bytes, new DecompressionStream('deflate-raw'))));
    if (!Array.isArray(values) || !values.every((value) => typeof value === 'string')) return null;
    return Object.fromEntries(KEYS.map((key, at) => [key, clean(values[at] ?? '')]));
  } catch {
    return null;
  }
}
