"""What HTTP does, it does to the store; what it answers is what the command line answers."""

import json

import pytest

from mainspring.shown import shown_task
from mainspring.web.roles import Role


def run(daemon):
    with daemon:
        daemon.drain()


def test_a_task_is_added_shown_and_run(ask, daemon):
    added = ask("POST", "/tasks", {"function": "shop:greet", "args": ["Ada"], "key": "k", "retries": 2})
    assert (added.status, added.body["state"], added.body["max_attempts"]) == (201, "waiting", 3)
    run(daemon)
    shown = ask("GET", f"/tasks/{added.body['id']}").body
    assert (shown["state"], shown["result"], shown["attempts"]) == ("succeeded", "hello Ada", [])
    assert set(shown) > set(shown_task(daemon.find_row(added.body["id"])).__struct_fields__)


def test_an_instant_and_a_duration(ask):
    at = ask("POST", "/tasks", {"function": "shop:greet", "args": [""], "at": "2030-01-01T10:00:00+01:00"})
    assert at.body["run_at"] == "2030-01-01T09:00:00.000000Z"
    both = ask("POST", "/tasks", {"function": "shop:greet", "args": [""], "at": 4e9, "after": "1s"})
    assert (both.status, both.body["code"]) == (422, "invalid-arguments")


def test_many_are_added_all_or_none(ask, daemon):
    good = {"function": "shop:greet", "args": ["a"], "after": "1h"}
    assert len(ask("POST", "/tasks/batch", {"tasks": [good] * 3}).body) == 3
    bad = ask("POST", "/tasks/batch", {"tasks": [good, {**good, "priority": 10**9}]})
    assert bad.status == 422
    assert len(daemon.find()) == 3


def test_programs_only_where_that_was_said(serving, daemon):
    refused = serving()("POST", "/tasks", {"command": ["true"]})
    assert (refused.status, refused.body["code"]) == (403, "not-allowed")
    for path, body in (
        ("/schedules", {"command": ["true"], "rule": {"every": "1h"}}),
        ("/listeners", {"command": ["true"]}),
    ):
        assert serving()("POST", path, body).status == 403
    assert daemon.find() == daemon.schedules() == daemon.listeners() == []
    assert serving(programs=True)("POST", "/tasks", {"command": ["true"]}).status == 201


def test_what_is_steered(ask, daemon):
    task = daemon.add_task("shop:greet", ["a"], after="1h")
    assert ask("POST", f"/tasks/{task.id}/reschedule", {"after": "2h"}).body["outcome"] == "waiting"
    assert ask("POST", f"/tasks/{task.id}/cancel").body["outcome"] == "cancelled"
    late = ask("POST", f"/tasks/{task.id}/cancel")
    assert (late.status, late.body["code"], late.headers["content-type"]) == (
        409,
        "too-late",
        "application/problem+json",
    )
    assert ask("POST", f"/tasks/{task.id}/retry").body["task"]["state"] == "waiting"
    assert ask("POST", f"/tasks/{task.id}/run-now").body["outcome"] == "due"
    assert ask("GET", f"/tasks/{task.id}/why").body["because"]
    assert ask("GET", f"/tasks/{task.id}/logs").body == {"id": task.id, "state": "waiting", "output": None}


def test_all_that_a_filter_finds_is_counted_first(ask, daemon):
    for n in range(7):
        daemon.add_task("shop:greet", [n], after="1h", queue="mail" if n else "other")
    change = {"verb": "cancel", "which": {"queue": "mail"}}
    dry = ask("POST", "/tasks/change", change).body
    assert (dry["found"], dry["changed"], dry["dry_run"], len(dry["names"])) == (6, 0, True, 5)
    daemon.add_task("shop:greet", [8], after="1h", queue="mail")
    stale = ask("POST", "/tasks/change", {**change, "dry_run": False, "expected": 6})
    assert (stale.status, stale.body["code"]) == (409, "too-late")
    assert len(daemon.find(state="cancelled")) == 0
    done = ask("POST", "/tasks/change", {**change, "dry_run": False, "expected": 7}).body
    assert (done["found"], done["changed"], done["failed"]) == (7, 7, [])
    assert len(daemon.find(state="waiting")) == 1


def test_a_list_is_read_page_by_page(ask, daemon):
    for n in range(5):
        daemon.add_task("shop:greet", [n])
    run(daemon)
    for n in range(6):
        daemon.add_task("shop:greet", [n], after="1h")
    for state, count in (("all", 11), ("waiting", 6), ("succeeded", 5), ("succeeded,failed", 5)):
        ids, after = [], ""
        while after is not None:
            page = ask("GET", f"/tasks?state={state}&limit=2" + (after and f"&after={after}")).body
            ids += [task["id"] for task in page["tasks"]]
            after = page["next"]
        assert len(ids) == len(set(ids)) == count
    assert [task["id"] for task in ask("GET", "/tasks?state=succeeded").body["tasks"]] == ["5", "4", "3", "2", "1"]


def test_schedules(ask, daemon):
    new = {
        "function": "shop:greet",
        "args": ["a"],
        "name": "a/b",
        "rule": {"cron": "30 2 * * *", "tz": "Europe/Berlin"},
    }
    assert ask("POST", "/schedules", new).body["rule"] == "cron '30 2 * * *' in Europe/Berlin"
    assert (ask("POST", "/schedules", new).status, len(ask("GET", "/schedules").body)) == (409, 1)
    name = "/schedules/a%2Fb"
    assert ask("PATCH", name, {"every": "1h", "overlap": "queue"}).body["overlap"] == "queue"
    assert ask("PATCH", name, {}).status == 422
    assert len(ask("GET", f"{name}/preview?count=3").body["occurrences"]) == 3
    assert ask("POST", f"{name}/pause", {"until": 4e9}).body["paused_until"] == "2096-10-02T07:06:40.000000Z"
    assert ask("POST", f"{name}/resume").body["paused"] is False
    assert ask("POST", f"{name}/run-now").body["schedule"] == "a/b"
    assert ask("POST", f"{name}/backfill", {"start": 1_700_000_000, "end": 1_700_000_001}).body == {"added": 0}
    assert {one["schedule"] for one in ask("GET", "/next?for=3h").body} == {"a/b"}
    assert ask("DELETE", name).body == {"name": "a/b", "removed": True}
    assert (ask("GET", name).status, daemon.schedules()) == (404, [])


def test_listeners(ask, daemon):
    assert (
        ask("POST", "/listeners", {"function": "shop:greet", "args": ["a"], "name": "l", "pause": "1s"}).status == 201
    )
    assert ask("GET", "/listeners/l").body["state"] == "down"
    assert ask("POST", "/listeners/l/pause").body["paused"] is True
    assert ask("POST", "/listeners/l/resume").body["paused"] is False
    assert ask("POST", "/listeners/l/restart").status == 200
    assert [one["name"] for one in ask("GET", "/listeners").body] == ["l"]
    assert ask("DELETE", "/listeners/l").status == 200
    assert daemon.listeners() == []


def test_a_pause_of_a_queue(ask, daemon):
    assert ask("POST", "/pause", {"queue": "mail"}).body == {"queue": "mail", "paused": True}
    assert ask("GET", "/status").body["paused"] == ["mail"]
    assert ask("POST", "/resume", {"queue": "mail"}).body == {"queue": "mail", "paused": False}
    assert daemon.store.paused() == frozenset()


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "said"),
    [
        ("GET", "/tasks?limit=0", None, 422, "1 to 200"),
        ("GET", "/tasks?limit=201", None, 422, "1 to 200"),
        ("GET", "/tasks?limit=1&limit=2", None, 400, "once is enough"),
        ("GET", "/tasks?stat=failed", None, 400, "unknown field `stat`; it may have state"),
        ("GET", "/tasks?state=faild", None, 422, "did you mean 'failed'"),
        ("GET", "/tasks?after=x1.2", None, 422, "the `next` of another page"),
        ("GET", "/tasks?after=u1.x", None, 422, "the `next` of another page"),
        ("GET", "/next?for=soon", None, 422, "soon"),
        ("GET", "/tasks/99", None, 404, "there is no task '99'"),
        ("GET", "/schedules/nope", None, 404, "nope"),
        ("POST", "/tasks", b"{", 400, "in the body"),
        ("POST", "/tasks", b"[]", 400, "Expected `object`"),
        ("POST", "/tasks", b"\xff", 400, "in the body"),
        ("POST", "/tasks", b"{}", 422, "either `function`"),
        ("POST", "/tasks", b'{"function": "shop:greet", "argz": []}', 400, "unknown field `argz`"),
        ("POST", "/tasks", b'{"function": "shop:greet", "args": ["a"], "at": "10:00"}', 422, "10:00"),
        ("POST", "/tasks", b"[" * 100_000, 400, "in the body"),
        ("POST", "/schedules", b'{"function": "shop:greet", "rule": {}}', 422, "expects `every`"),
        ("POST", "/schedules", b'{"function": "shop:greet", "rule": {"cron": "0 0 31 2 *"}}', 422, "never"),
        ("GET", "/nope", None, 404, "openapi.json"),
        ("PUT", "/tasks", b"{}", 405, "openapi.json"),
    ],
)  # fmt: skip
def test_a_slip_is_told_where_it_is(ask, daemon, method, path, sent, status, said):
    answer = ask(method, path, raw=sent, Content_Type="application/json")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.body["detail"]
    assert set(answer.body) == {"type", "title", "status", "code", "detail"}
    assert daemon.find(state=["waiting", "failed"]) == []


def test_what_is_not_json_or_too_long_is_refused(ask):
    assert ask("POST", "/tasks", raw=b"{}", Content_Type="text/plain").status == 415
    assert ask("POST", "/tasks", raw=b" " * 1_000_001, Content_Type="application/json").status == 413


def test_a_full_queue_says_when_to_come_again(tmp_path, daemon, ask):
    from mainspring.bound import Bound

    daemon.bound = Bound(daemon, 1, waits=False, timeout=None)
    new = {"function": "shop:greet", "args": ["a"]}
    assert ask("POST", "/tasks", new).status == 201
    full = ask("POST", "/tasks", new)
    assert (full.status, full.body["code"], full.headers["retry-after"]) == (429, "queue-full", "1")


def test_a_broken_store_is_no_bug(ask, daemon, monkeypatch):
    from mainspring.errors import StoreError

    def broken(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(type(daemon.store), "find", broken)
    answer = ask("GET", "/tasks")
    assert (answer.status, answer.body["code"], answer.body["detail"]) == (503, "store-error", "the disk is full")


def test_a_bug_tells_nothing_but_that_it_happened(ask, daemon, monkeypatch, caplog):
    def broken(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(daemon.store), "find", broken)
    answer = ask("GET", "/tasks")
    assert (answer.status, answer.body["code"]) == (500, "bug")
    assert "secret" not in json.dumps(answer.body)
    assert "secret" in caplog.text


def test_health_is_for_everybody(ask, daemon):
    assert ask("GET", "/health", role=None, api="").body == {"status": "ok"}
    assert ask("GET", "/ready", role=None, api="").status == 503
    with daemon:
        assert ask("GET", "/ready", role=Role.VIEWER, api="").body == {"status": "ok", "nodes": 1}
