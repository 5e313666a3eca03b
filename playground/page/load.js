// The rules, compiled while they arrive. They are compressed as they are, whatever a server does.

import init, * as rules from './wasm/jobscope.js';

export async function load() {
  const { body } = await fetch(new URL('wasm/jobscope_bg.wasm.gz', import.meta.url));
  const bytes = body.pipeThrough(new DecompressionStream('gzip'));
  await init({ module_or_path: new Response(bytes, { headers: { 'content-type': 'application/wasm' } }) });
  return rules;
}
