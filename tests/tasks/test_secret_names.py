"""Which names are taken for those of secrets, and which are not."""

import pytest

from mainspring.shown import shown_task
from mainspring.tasks.secrets import is_secret_name

SECRET = [
    "password", "db_password", "passwordHash", "token", "github_token", "accessToken", "X-Api-Key", "x_api_key",
    "apiKey", "authorization", "Authorization", "proxy-authorization", "authorizationHeader", "bearer",
    "auth_bearer", "bearer_token", "cookie", "Cookie", "set-cookie", "session_cookie", "cookies", "cookie_header",
    "credentials", "aws_credentials", "credential", "jwt", "id_jwt", "passcode", "client_secret", "SECRET_SALT",
    "private_key", "aws-access-key",
]  # fmt: skip
INNOCENT = [
    "author", "authors", "authorized", "authorization_url", "cookie_banner", "cookbook", "bearing", "forbearer",
    "tokenize", "tokens_left", "secretary", "passenger", "compass", "keyboard", "monkey", "key", "api", "headers",
    "credentialed", "passcodes_allowed", "item", "customer", "pwd", "",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_by_its_name(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", INNOCENT)
def test_no_secret(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize("name", ["authorization", "set_cookie", "x_api_key", "bearer"])
def test_what_it_is_is_not_shown(daemon, name):
    scope: dict = {}
    exec(f"def call({name}, item): pass", scope)
    call = daemon.task(name="t:call")(scope["call"])
    task = call.after("1h").enqueue("hunter2", 7)
    shown = repr(shown_task(task.row, daemon.registry))
    assert "hunter2" not in shown
    assert "7" in shown
