"""Who is let in, before anything else is looked at: known hosts, own pages, known visitors. Denied unless allowed."""

import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from mainspring.web.problems import Refused
from mainspring.web.roles import Authorize, Role, Visitor

COOKIE = "mainspring"
LOCAL = ("localhost", "127.0.0.1", "[::1]")
SAFE = frozenset({"GET", "HEAD"})

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Tokens:
    """Lets in who knows a token: as `Authorization: Bearer`, or in the cookie that the login page gave."""

    def __init__(self, visitors: Mapping[str, Visitor]) -> None:
        self._visitors = {token.encode(): visitor for token, visitor in visitors.items()}

    def of(self, token: str) -> Visitor | None:
        """Whose token it is. Each is compared in the same time, so that nothing is learnt from how long it took."""
        given, found = token.encode("utf-8", "surrogateescape"), None
        for known, visitor in self._visitors.items():
            if hmac.compare_digest(known, given):
                found = visitor
        return found

    def __call__(self, headers: Mapping[str, str]) -> Visitor | None:
        """See `Authorize`."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.of(token.strip())
        kept = cookie_of(headers)
        return self.of(kept) if kept else None


def cookie_of(headers: Mapping[str, str]) -> str | None:
    """What our cookie says."""
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


class Guard:
    """`hosts`: the names under which this may be asked for (None: the host application looks after that)."""

    def __init__(self, authorize: Authorize, hosts: Sequence[str] | None) -> None:
        self._authorize = authorize
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    def check_place(self, method: str, headers: Mapping[str, str]) -> None:
        """Refuse names that are not ours (DNS rebinding), and changes that another site asks for (CSRF)."""
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
        if self._hosts is not None and name not in self._hosts:
            raise Refused(421, "not-this-host", f"this is not {host!r:.100}; --allow-host adds a name")
        if method in SAFE:
            return
        site = headers.get("sec-fetch-site", "none")
        origin = headers.get("origin")
        if site not in {"same-origin", "none"} or (origin is not None and urlsplit(origin).netloc.lower() != host):
            raise Refused(403, "another-site", "a page of another site may change nothing here")

    def visitor(self, headers: Mapping[str, str], least: Role) -> Visitor:
        """Who asks, if they may."""
        visitor = self._authorize(headers)
        if visitor is None:
            raise Refused(401, "unknown", "send the token that was printed at the start: Authorization: Bearer TOKEN")
        if visitor.role < least:
            raise Refused(403, "role", f"{visitor.name} is {visitor.role.word}; this takes {least.word}")
        return visitor
