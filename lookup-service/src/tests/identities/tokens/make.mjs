// What make.py has made by jose, in JavaScript: it is given private keys and claims, and writes rows.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { CompactSign, EncryptJWT, SignJWT, importJWK } from "jose";

const { rsa, ec, claims } = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(import.meta.url);
const by = `jose ${JSON.parse(readFileSync(require.resolve("jose").replace(/\/dist\/.*/, "/package.json"))).version}`;
const rows = [];
const row = (what, said, token) => rows.push({ by, what, said, token });
const sign = async (key, header, payload = claims) =>
  new SignJWT(payload).setProtectedHeader(header).sign(await importJWK(key, header.alg));

row("RS256", "good", await sign(rsa, { alg: "RS256", kid: "rsa-1", typ: "JWT" }));
row("ES256", "good", await sign(ec, { alg: "ES256", kid: "ec-1" }));
row("RS256, the audience set anew", "good", await sign(rsa, { alg: "RS256", kid: "rsa-1" }, { ...claims, aud: [claims.aud] }));
row("no name of a key", "unknown", await sign(rsa, { alg: "RS256" }));
row("another name of a key", "unknown", await sign(rsa, { alg: "RS256", kid: "rsa-3" }));
row("something critical", "unknown", await new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
  .setProtectedHeader({ alg: "RS256", kid: "rsa-1", crit: ["b64"], b64: true })
  .sign(await importJWK(rsa, "RS256")));
row("no claims but text", "unknown", await new CompactSign(new TextEncoder().encode("hello"))
  .setProtectedHeader({ alg: "RS256", kid: "rsa-1" })
  .sign(await importJWK(rsa, "RS256")));
row("encrypted", "unknown", await new EncryptJWT(claims)
  .setProtectedHeader({ alg: "dir", enc: "A128CBC-HS256", kid: "rsa-1" })
  .encrypt(new Uint8Array(32)));
console.log(JSON.stringify(rows));
