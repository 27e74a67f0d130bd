"""A function's plan: calls that do not fit are refused with its signature, and secrets are never shown."""

import functools

import pytest

from mainspring.errors import InvalidArguments
from mainspring.tasks.callplan import CallPlan
from mainspring.tasks.codec import decode_call, display_call, encode_call, redact
from mainspring.tasks.secrets import MASK, Secret, is_secret_name, redact_env


def everything(a, /, b, c=3, *rest, d, e=5, **more): ...


def simple(item: int, note: str = "") -> None: ...


def none() -> None: ...


CALLS = [
    (simple, (1,), {}, True),
    (simple, (1, "x"), {}, True),
    (simple, (), {"item": 1}, True),
    (simple, (), {}, False),
    (simple, (1, "x", 2), {}, False),
    (simple, (1,), {"item": 1}, False),
    (simple, (1,), {"nota": 1}, False),
    (none, (), {}, True),
    (none, (1,), {}, False),
    (everything, (1, 2), {"d": 4}, True),
    (everything, (1,), {"b": 2, "d": 4, "a": 9}, True),
    (everything, (1, 2, 3, 4, 5), {"d": 4}, True),
    (everything, (1, 2), {}, False),
    (everything, (), {"a": 1, "b": 2, "d": 4}, False),
]


@pytest.mark.parametrize(("function", "args", "kwargs", "fits"), CALLS)
def test_a_call_binds_as_python_would_bind_it(function, args, kwargs, fits):
    plan = CallPlan(function)
    if fits:
        function(*args, **kwargs)
        plan.bind(args, kwargs)
        return
    with pytest.raises(TypeError):
        function(*args, **kwargs)
    with pytest.raises(InvalidArguments) as caught:
        plan.bind(args, kwargs)
    assert f"{function.__name__}{plan.signature}" in str(caught.value)


def test_what_has_no_readable_signature_takes_any_call():
    unreadable = CallPlan(max)
    assert unreadable.signature is None
    unreadable.bind((1,), {"x": 2})
    assert decode_call(encode_call(((1,),), {}, unreadable), unreadable) == (((1,),), {})


class Service:
    def method(self, key: Secret[str], size: int = 1) -> None: ...

    def __call__(self, key: Secret[str]) -> None: ...


PLANS = [
    CallPlan(Service().method),
    CallPlan(functools.partial(Service.method, Service())),
    CallPlan(Service()),
]


@pytest.mark.parametrize("plan", PLANS)
def test_methods_partials_and_callable_objects_have_plans(plan):
    plan.bind(("k",), {})
    with pytest.raises(InvalidArguments):
        plan.bind((), {})
    assert redact(plan, ("k",), {}) == ([MASK], {})


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "db_password",
        "password_hash",
        "token",
        "githubToken",
        "api_key",
        "apiKey",
        "my_api_key",
        "secret",
        "client_secret",
        "api-key",
    ],
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["tokens", "secretary", "passwordless", "keyboard", "api", "key", "tokenizer", "x"])
def test_names_that_only_look_like_it(name):
    assert not is_secret_name(name)


def login(user: str, code: Secret[str], *rest: str, password: str = "", mode: "Secret[str] | None" = None, **more): ...


def test_secrets_are_shown_as_dots_with_and_without_the_plan():
    plan = CallPlan(login)
    args, kwargs = ("ann", "4711", "r"), {"password": "hunter2", "mode": "m", "github_token": "ghp", "plain": 1}
    shown = (["ann", MASK, "r"], {"password": MASK, "mode": MASK, "github_token": MASK, "plain": 1})
    assert redact(plan, args, kwargs) == shown
    text = encode_call(args, kwargs, plan)
    assert display_call(text, plan) == shown
    assert display_call(text) == shown  # whoever looks need not import the code
    assert decode_call(text, plan) == (args, kwargs)
    assert decode_call(text) == (args, kwargs)
    assert display_call(None) == ([], {})


def test_without_a_plan_the_names_alone_tell():
    text = encode_call((1,), {"token": "t", "x": {"$secret": "not ours"}})
    assert display_call(text) == ([1], {"token": MASK, "x": {"$dict": {"$secret": "not ours"}}})
    assert decode_call(text) == ((1,), {"token": "t", "x": {"$secret": "not ours"}})
    # A text that was stored by a client without the plan, looked at by one that has it.
    assert display_call('[["ann","4711"],{}]', CallPlan(login)) == (["ann", MASK], {})


def test_a_refusal_never_quotes_a_secret():
    class Vault:
        def __init__(self) -> None:
            self.inner = "hunter2"

        def __repr__(self) -> str:
            return "hunter2"

    for call in ({"password": Vault()}, {"password": ["hunter2\ud800"]}, {"mode": {"hunter2": Vault()}}):
        with pytest.raises(InvalidArguments) as caught:
            encode_call(("ann", "1"), call, CallPlan(login))
        assert "hunter2" not in str(caught.value)


def test_one_annotation_that_cannot_be_resolved_does_not_disturb_the_others():
    def function(a: "Missing", code: "Secret[str]") -> "Missing": ...  # noqa: F821

    plan = CallPlan(function)
    assert redact(plan, (1, 2), {}) == ([1, MASK], {})
    assert decode_call(encode_call(((1,), "x"), {}, plan), plan) == (((1,), "x"), {})


def test_a_plain_function_needs_no_conversion():
    assert CallPlan(simple).plain
    assert not CallPlan(login).plain


def test_variables_of_a_program_are_named_but_not_shown():
    assert redact_env({"HOME": "/x"}) == {"HOME": MASK}
