"""Serving by itself: an address, tokens, uvicorn. Loopback and a random token, unless more was said."""

import logging
import os
import secrets
import signal
import socket
import stat
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import uvicorn

from mainspring.client import Client
from mainspring.errors import InvalidValue, Misuse, StoreError
from mainspring.web.application import asgi
from mainspring.web.guard import LOCAL, Tokens
from mainspring.web.roles import Role, Visitor, role_of

_LEAST = 16  # characters of a token
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def new_token() -> str:
    """Nobody guesses it."""
    return secrets.token_urlsafe(24)


def read_tokens(path: str) -> dict[str, Visitor]:
    """From a file that only its owner can read: a line each, `ROLE NAME TOKEN`; `#` begins a comment."""
    try:
        with open(path, encoding="utf-8") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise InvalidValue(f"{path} can be read by others: chmod 600 {path}")
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValue(f"the tokens in {path} cannot be read: {error}") from None
    found: dict[str, Visitor] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or len(words[2]) < _LEAST:
            raise InvalidValue(f"{path} line {number} expects ROLE NAME TOKEN, at least {_LEAST} characters")
        found[words[2]] = Visitor(words[1], role_of(words[0]))
    if not found:
        raise InvalidValue(f"there are no tokens in {path}: write a line each, ROLE NAME TOKEN")
    return found


class Served(NamedTuple):
    """A server that is ready to run, on an address it has already. `token`: one that was made for it."""

    server: uvicorn.Server
    socket: socket.socket
    url: str
    token: str | None

    def run(self) -> None:
        """Serve until a signal. In the main thread a signal is an orderly end, as it is for the daemon."""
        before = {}
        if threading.current_thread() is threading.main_thread():  # the server repeats a signal when it has ended
            before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.server.run([self.socket])
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def serve(
    client: Client, *, host: str = "127.0.0.1", port: int = 0, tokens: Mapping[str, Visitor] | None = None,
    hosts: Sequence[str] = (), programs: bool = False,
) -> Served:  # fmt: skip
    """The server for a client. `port` 0: any that is free. Raises `Misuse` and `StoreError`.

    Without `tokens` one is made, for an admin, and only this machine is let in.
    """
    if tokens is None and host not in _LOOPBACK:
        raise Misuse(f"{host} can be reached from elsewhere: say who may come in, with --tokens FILE")
    made = new_token() if tokens is None else None
    visitors = {made: Visitor("admin", Role.ADMIN)} if made is not None else tokens or {}
    names = (*LOCAL, *hosts) if host in _LOOPBACK else (*LOCAL, host, *hosts)
    application = asgi(client, authorize=Tokens(visitors), hosts=names, programs=programs)
    listening = _bound(host, port)
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        application, log_config=None, access_log=False, server_header=False, limit_concurrency=1_100,
        timeout_keep_alive=30, timeout_graceful_shutdown=3, lifespan="off", ws="none",
        h11_max_incomplete_event_size=65_536,
    )  # fmt: skip
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return Served(uvicorn.Server(config), listening, f"http://{shown}:{listening.getsockname()[1]}/", made)


def _bound(host: str, port: int) -> socket.socket:
    """Listening already, so that the address is right when it is told."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1_024)
    except OSError as error:
        listening.close()
        raise StoreError(
            f"nobody can listen on {host} port {port}: {error.strerror}; --port 0 finds a free one"
        ) from None
    return listening
