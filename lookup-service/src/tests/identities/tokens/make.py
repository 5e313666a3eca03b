"""Makes tokens.json: ID tokens by makers that are not ours, good ones and others, with what they are to be taken for.

    pip install 'PyJWT[crypto]' joserfc && npm install jose && python make.py

The keys are made anew each time, and their private halves are not kept. Time stands still in these tokens.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess

import joserfc
import joserfc.jwk
import joserfc.jwt
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = pathlib.Path(__file__).parent
NOW = 1_790_000_000
CLAIMS = {
    "iss": "https://gitlab.example.com",
    "aud": "https://forge.example.com/jobscope",
    "iat": NOW,
    "nbf": NOW - 5,
    "exp": NOW + 300,
    "jti": "4a576b35",
    "sub": "project_path:apps/web:ref_type:branch:ref:main",
    "namespace_id": "42",
    "project_id": "4711",
    "job_id": "7",
    "user_id": "11",
    "user_login": "dänä",
    "ref": "main",
    "pipeline_source": "push",
}

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=3072)
EC = ec.generate_private_key(ec.SECP256R1())
LARGE_EC = ec.generate_private_key(ec.SECP384R1())


def public(key, algorithm, kid):
    return json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"}


RS, ES = jwt.algorithms.RSAAlgorithm, jwt.algorithms.ECAlgorithm
KEYS = {
    "keys": [
        public(RSA, RS, "rsa-1") | {"alg": "RS256"},
        public(EC, ES, "ec-1"),
        public(OTHER, RS, "rsa-3072"),
        public(LARGE_EC, ES, "ec-384"),
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed-1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ]
}

rows = []


def row(by, what, said, token):
    rows.append({"by": by, "what": what, "said": said, "token": token})


def pyjwt(what, said, key=RSA, alg="RS256", kid="rsa-1", header=None, **changes):
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    header = {"kid": kid} | (header or {})
    row(f"PyJWT {jwt.__version__}", what, said, jwt.encode(claims, key, algorithm=alg, headers=header))


pyjwt("RS256", "good")
pyjwt("RS256 by 3072 bits", "good", key=OTHER, kid="rsa-3072")
pyjwt("ES256", "good", key=EC, alg="ES256", kid="ec-1")
pyjwt("numbers for ids", "good", project_id=4711, namespace_id=42, job_id=7)
pyjwt("an audience in a list of one", "good", aud=[CLAIMS["aud"]])
pyjwt("a print of a certificate beside", "good", header={"x5t": "VjWIUjS5JS3eAFdm2dnydlZfY-I"})
pyjwt("at the edge of clocks", "good", exp=NOW - 29, iat=NOW - 300, nbf=None)
pyjwt("RS384", "unknown", alg="RS384")
pyjwt("RS512", "unknown", alg="RS512")
pyjwt("PS256", "unknown", alg="PS256")
pyjwt("ES384", "unknown", key=LARGE_EC, alg="ES384", kid="ec-384")
pyjwt("ES384 under the name of a P-256 key", "unknown", key=LARGE_EC, alg="ES384", kid="ec-1")
pyjwt("HS256 with a secret", "unknown", key="s" * 32, alg="HS256")
pyjwt("none", "unknown", key=None, alg="none")
pyjwt("the other key", "unknown", key=OTHER)
pyjwt("a certificate's address", "unknown", header={"x5u": "https://evil.example.com"})
pyjwt("a key's address", "unknown", header={"jku": "https://evil.example.com"})
pyjwt("another type", "unknown", header={"typ": "at+jwt"})
pyjwt("expired", "unknown", exp=NOW - 30, iat=NOW - 300)
pyjwt("too early", "unknown", nbf=NOW + 31)
pyjwt("made too early", "unknown", iat=NOW + 31, exp=NOW + 331)
pyjwt("too long", "unknown", exp=NOW + 3601)
pyjwt("fractions of a second", "unknown", exp=NOW + 300.5)
pyjwt("an audience of two", "unknown", aud=[CLAIMS["aud"], "https://other.example.com"])
pyjwt("another audience", "unknown", aud="https://other.example.com")
pyjwt("another issuer", "unknown", iss="https://gitlab.example.org")
pyjwt("another owner", "unknown", namespace_id="43")
pyjwt("no issuer", "foreign", iss=None)
pyjwt("an issuer of people", "foreign", iss="https://sso.example.com")

# HMAC with what everybody knows: PyJWT refuses to be so misused, so by hand.
pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


signed = encoded(json.dumps({"alg": "HS256", "kid": "rsa-1"}).encode()) + "." + encoded(json.dumps(CLAIMS).encode())
row("hmac", "HS256 with the public key", "unknown", signed + "." + encoded(hmac.digest(pem, signed.encode(), hashlib.sha256)))

key = joserfc.jwk.RSAKey.import_key(json.loads(RS.to_jwk(RSA)))
header = {"alg": "RS256", "kid": "rsa-1"}
row(f"joserfc {joserfc.__version__}", "RS256", "good", joserfc.jwt.encode(header, CLAIMS, key))
row(f"joserfc {joserfc.__version__}", "its own key beside", "unknown", joserfc.jwt.encode(header | {"jwk": key.as_dict(private=False)}, CLAIMS, key))

private = {"rsa": json.loads(RS.to_jwk(RSA)), "ec": json.loads(ES.to_jwk(EC)), "claims": CLAIMS}
made = subprocess.run(["node", HERE / "make.mjs"], input=json.dumps(private), capture_output=True, text=True, check=True)
rows += json.loads(made.stdout)

(HERE / "tokens.json").write_text(json.dumps({"now": NOW, "keys": KEYS, "tokens": rows}, indent=1) + "\n")
