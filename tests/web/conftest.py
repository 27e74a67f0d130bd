"""A served store: the real server, on a port of its own, and somebody who asks over a real connection."""

import http.client
import json
import threading
from contextlib import closing
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from mainspring import Daemon
from mainspring.web.roles import Role, Visitor
from mainspring.web.serve import serve

TOKENS = {role: f"token-of-a-{role.word}" for role in Role}


class Answer(NamedTuple):
    """What came back; `body` is decoded where it is JSON."""

    status: int
    headers: dict[str, str]
    body: object


class Asker:
    """`ask("GET", "/tasks")` as an admin; `role=None`: as nobody."""

    def __init__(self, url):
        self.url = url
        self.host = urlsplit(url).netloc

    def __call__(self, method, path, body=None, *, role=Role.ADMIN, api="/api/v1", raw=None, **headers):
        sent = {} if role is None else {"Authorization": f"Bearer {TOKENS[role]}"}
        data = raw
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body), "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection(self.host, timeout=30)) as connection:
            connection.request(method, api + path, data, sent)
            response = connection.getresponse()
            text = response.read()
            told = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in told.get("content-type", "")
        return Answer(response.status, told, json.loads(text) if is_json else text)


@pytest.fixture
def daemon(tmp_path):
    """A client of a store, with a function it knows; nobody runs it."""
    with closing(Daemon(tmp_path / "s.db", name="tests")) as daemon:

        @daemon.task(name="shop:greet")
        def greet(whom):
            return f"hello {whom}"

        yield daemon


@pytest.fixture
def serving(daemon):
    """`serving(programs=True)` serves the daemon's store; it ends with the test."""
    running = []

    def start(**how):
        tokens = {token: Visitor(role.word, role) for role, token in TOKENS.items()}
        served = serve(daemon, tokens=tokens, **how)
        thread = threading.Thread(target=served.run)
        thread.start()
        running.append((served, thread))
        return Asker(served.url)

    yield start
    for served, thread in running:
        served.server.should_exit = True
        thread.join()
        served.socket.close()


@pytest.fixture
def ask(serving):
    return serving()
