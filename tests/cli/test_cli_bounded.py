"""A bounded queue from the command line: refused with exit code 4, or waited for when that was asked."""

import threading

from mainspring import Daemon


def test_a_full_queue_refuses_and_says_how_to_wait(cli, monkeypatch):
    monkeypatch.setenv("MAINSPRING_MAX_PENDING", "1")
    cli("now", "--", "true")
    refused = cli("now", "--", "true", code=4)
    assert "max_pending is 1" in refused.stderr
    assert "--wait DURATION waits for room" in refused.stderr
    assert len(cli.json("list")) == 1


def test_what_is_for_later_is_let_in(cli, monkeypatch):
    monkeypatch.setenv("MAINSPRING_MAX_PENDING", "1")
    cli("now", "--", "true")
    cli("after", "1h", "--", "true")
    cli("at", "+1h", "--", "true")
    cli("every", "1h", "--", "true")
    assert len(cli.json("list")) >= 3


def test_it_waits_as_long_as_it_was_asked_to(cli, monkeypatch):
    monkeypatch.setenv("MAINSPRING_MAX_PENDING", "1")
    cli("now", "--wait", "1ms", "--", "true")
    refused = cli("now", "--wait", "1ms", "--", "true", code=4)
    assert "waited 1ms for room" in refused.stderr
    assert "--wait" not in refused.stderr
    assert "expected a duration" in cli("now", "--wait", "soon", "--", "true", code=2).stderr


def test_it_goes_on_when_there_is_room(cli, monkeypatch):
    monkeypatch.setenv("MAINSPRING_MAX_PENDING", "1")
    cli("now", "--", "true")
    client = Daemon(cli.store)
    watched, watch = threading.Event(), type(client.store).watch

    def told(store):
        made = watch(store)
        watched.set()  # it listens by now; what is cancelled from here on is not missed
        return made

    monkeypatch.setattr(type(client.store), "watch", told)

    def make_room():
        watched.wait(60)
        client.find(state="waiting")[0].cancel()

    helper = threading.Thread(target=make_room)
    helper.start()
    assert "is due" in cli("now", "--wait", "60s", "--", "true").stdout
    helper.join()
    client.close()


def test_the_flags_of_run(cli):
    assert "expected a whole number from 1" in cli("run", "--max-pending", "0", code=2).stderr
    assert "expected 'block'" in cli("run", "--when-full", "drop", code=2).stderr
    assert "--full-timeout" in cli("run", "--full-timeout", "soon", code=2).stderr
