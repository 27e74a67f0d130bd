"""Who is let in: each route and each role, other hosts, other sites, and files of tokens."""

import re

import pytest

from mainspring.errors import InvalidValue, Misuse, StoreError
from mainspring.web.guard import COOKIE
from mainspring.web.operations import table
from mainspring.web.roles import Role
from mainspring.web.serve import read_tokens, serve

ROUTES = [(one.method, re.sub(r"{\w+}", "x", one.path), one.role) for one in table()]
ROUTES.append(("GET", "/openapi.json", Role.VIEWER))


def test_every_route_asks_who_it_is(ask, daemon):
    for method, path, _ in ROUTES:
        answer = ask(method, path, role=None)
        assert (answer.status, answer.body["code"]) == (401, "unknown"), (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert ask(method, path, role=None, Authorization="Bearer token-of-nobody").status == 401
        assert ask(method, path, role=None, Authorization="Basic dG9rZW4=").status == 401
        assert ask(method, path, role=None, Cookie=f"{COOKIE}=; other=x").status == 401
    assert daemon.find() == []


def test_every_route_has_its_role(ask):
    for method, path, least in ROUTES:
        for role in Role:
            answer = ask(method, path, role=role)
            if role < least:
                assert (answer.status, answer.body["code"]) == (403, "role"), (method, path, role)
            else:
                assert answer.status not in {401, 403}, (method, path, role)


def test_who_looks_changes_nothing():
    assert all(one.role >= Role.OPERATOR for one in table() if one.method != "GET")
    assert all(one.method != "GET" or one.role is Role.VIEWER for one in table())


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "", "[::2]:80"])
def test_a_name_that_is_not_ours(ask, host):
    answer = ask("GET", "/tasks", Host=host)
    assert (answer.status, answer.body["code"]) == (421, "not-this-host")
    assert ask("GET", "/health", role=None, api="", Host=host).status == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1:1", "[::1]:8420", "[::1]"])
def test_our_names(ask, host):
    assert ask("GET", "/tasks", Host=host).status == 200


def test_another_name_that_was_allowed(serving):
    assert serving(hosts=["tasks.example.org"])("GET", "/tasks", Host="tasks.example.org:8420").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(ask, daemon, headers):
    task = daemon.add_task("shop:greet", ["a"], after="1h")
    answer = ask("POST", f"/tasks/{task.id}/cancel", **headers)
    assert (answer.status, answer.body["code"]) == (403, "another-site")
    assert task.refresh().state == "waiting"


def test_our_own_pages_do(ask, daemon):
    task = daemon.add_task("shop:greet", ["a"], after="1h")
    own = {"Origin": f"http://{ask.host}", "Sec_Fetch_Site": "same-origin"}
    assert ask("POST", f"/tasks/{task.id}/cancel", **own).status == 200


def test_every_answer_has_the_headers(ask):
    for answer in (ask("GET", "/tasks"), ask("GET", "/tasks", role=None), ask("GET", "/nope")):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_a_file_of_tokens(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("# who\nviewer ann 0123456789abcdef\n\nadmin bob abcdefghijklmnop # his\n")
    file.chmod(0o600)
    assert {one.name: one.role for one in read_tokens(file).values()} == {"ann": Role.VIEWER, "bob": Role.ADMIN}
    file.chmod(0o640)
    with pytest.raises(InvalidValue, match="chmod 600"):
        read_tokens(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are no tokens"),
        ("viewer 0123456789abcdef", "line 1 expects ROLE NAME TOKEN"),
        ("viewer ann short", "at least 16 characters"),
        ("root ann 0123456789abcdef", "viewer, operator, admin"),
    ],
)
def test_a_file_of_tokens_with_a_slip(tmp_path, text, said):
    file = tmp_path / "tokens"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InvalidValue, match=said):
        read_tokens(file)


def test_who_can_be_reached_from_elsewhere_says_who_may_come_in(daemon):
    with pytest.raises(Misuse, match="--tokens FILE"):
        serve(daemon, host="0.0.0.0")  # what is refused here


def test_an_address_that_is_taken(ask, daemon):
    with pytest.raises(StoreError, match="--port 0"):
        serve(daemon, port=int(ask.host.rpartition(":")[2]))


def test_a_made_token_is_an_admins_and_nobodys_guess(daemon):
    served = [serve(daemon) for _ in range(2)]
    for one in served:
        one.socket.close()
    assert served[0].token != served[1].token
    assert len(served[0].token) >= 32
