"""One set of verbs: what the command line can do, HTTP can do, but for what is of the machine itself."""

import click

from mainspring.cli.root import VERBS, main
from mainspring.web.operations import table

HERE = {
    "run": "starts a daemon on this machine",
    "web": "is this",
    "at": "POST /tasks with `at`",
    "after": "POST /tasks with `after`",
    "cron": "POST /schedules with `cron`",
    "top": "GET /status, again and again",
    "doctor": "looks at this machine",
    "import crontab": "reads a file of this machine",
    "store": "files of this machine",
    "service": "units of this machine",
    "demo": "a show",
    "bench": "measures this machine",
    "completion": "of this shell",
}


def verbs():
    """All of them, those of a family by both words."""
    with click.Context(main) as context:
        for name in VERBS:
            command = main.get_command(context, name)
            if isinstance(command, click.Group):
                yield from (f"{name} {one}" for one in command.list_commands(context))
            else:
                yield name


def test_every_verb_is_there_or_is_said_to_be_of_this_machine():
    reached = {one.verb for one in table()}
    missing = {verb for verb in verbs() if verb not in reached and not {verb, verb.split()[0]} & set(HERE)}
    assert not missing


def test_every_operation_is_a_verb():
    assert {one.verb for one in table()} <= set(verbs())


def test_no_two_operations_are_one():
    assert len({one.id for one in table()}) == len({(one.method, one.path) for one in table()}) == len(table())
