"""Werkzeug, PyJWT and giftless. Answers each request with the credentials that they find in it, as JSON.

How a place is read is theirs; where a service may look is written down here.
"""

import json
import logging
import sys

import jwt
from giftless.auth.jwt import JWTAuthenticator
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

KEY = sys.argv[1]
NAMES = ["jwt"]
GIFTLESS = JWTAuthenticator(private_key=KEY)


def is_jwt(text):
    try:
        jwt.decode(text, KEY, algorithms=["HS256"])
    except Exception:
        return False
    return True


def giftless(request):
    """The token that giftless lets in, if it does."""
    text = GIFTLESS._get_token_from_headers(request) or GIFTLESS._get_token_from_qs(request)
    try:
        return text if text and GIFTLESS(request) else None
    except Exception:
        return None


def named(place, values):
    return [(place, name, text) for name in NAMES for text in values.getlist(name)]


def read(request):
    found = []
    login = request.authorization
    if login is not None and login.type == "basic":
        found.append(("basic", login.username or "", login.password or ""))
        if not login.password:
            found.append(("basic", "", login.username or ""))
    elif login is not None and login.type in ("bearer", "token") and login.token:
        found.append(("bearer", "", login.token))
    found += named("query", request.args)
    try:
        found += named("form", request.form)
    except HTTPException:
        pass
    found += [(f"jwt in {place}", name, text) for place, name, text in found if is_jwt(text)]
    found.append(("giftless", "", giftless(request) or ""))
    return {"method": request.method, "found": [one for one in found if one[2]]}


def app(environ, start_response):
    request = Request(environ)
    body = request.get_data(parse_form_data=False, cache=True)
    answer = read(request) if body is not None else {}
    return Response(json.dumps(answer), mimetype="application/json")(environ, start_response)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
WSGIRequestHandler.protocol_version = "HTTP/1.1"
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
