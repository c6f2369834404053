"""Who may ask: this machine's own browser, on the page that it was given.

The server listens on the loopback only. A page of another site could still make a browser send
requests to it, also under a name of its own that leads to 127.0.0.1 (DNS rebinding): hence the
names by which it may be called, and a secret in every address.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping

ADDRESS = "127.0.0.1"
_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")  # any port: a tunnel has its own
# Somebody followed a link in a window of its own: the page that had it sees nothing of the answer.
_A_LINK = ("navigate", "document")

HEADERS = {
    # Everything comes from here, nothing runs that is no file of ours, nobody frames the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",  # pixels of patients stay in memory
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the secret
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def new_token() -> str:
    """A secret that nobody guesses, fit for an address."""
    return secrets.token_urlsafe(24)


def refusal(headers: Mapping[str, str], given: str, token: str) -> str | None:
    """Why a request is not answered; None if it is.

    Args:
        headers: Of the request.
        given: The first part of its path.
        token: What it must be.

    >>> refusal({"Host": "127.0.0.1:5000"}, "secret", "secret")
    >>> refusal({"Host": "evil.example:5000"}, "secret", "secret")
    'this server is called 127.0.0.1 or localhost'
    >>> refusal({"Host": "localhost:5000", "Origin": "http://evil.example"}, "secret", "secret")
    'another site asks'
    >>> refusal({"Host": "localhost:5000"}, "guess", "secret")
    'the address lacks its secret: open the one that was printed'
    """
    host = headers.get("Host", "")
    if not _OWN_HOST.fullmatch(host):
        return "this server is called 127.0.0.1 or localhost"
    if headers.get("Origin", f"http://{host}") != f"http://{host}":
        return "another site asks"
    followed = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == _A_LINK
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not followed:
        return "another site asks"
    if not hmac.compare_digest(given.encode(), token.encode()):
        return "the address lacks its secret: open the one that was printed"
    return None
