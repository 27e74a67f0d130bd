"""`import crontab`: a crontab's rules as schedules, all or none, with the environment that cron would give them."""

import os
import pwd

import pytest

from mainspring import Cron, Daemon
from mainspring.cli.crontab import Account, names, read_crontab
from mainspring.engine.program_attempts import decode_call

ME = Account("alice", "/home/alice")


def read(text, tz="UTC", **more):
    return read_crontab(text if isinstance(text, bytes) else text.encode(), ME, tz, **more)


def entry(line, **more):
    crontab = read(line, **more)
    assert crontab.slips == []
    (found,) = crontab.entries
    return found


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_rule_is_a_shell_with_what_cron_gives_it():
    found = entry("  30\t2 * * *   cd /srv &&  ./backup.sh --all  # not a comment")
    assert found.trigger == Cron("30 2 * * *")
    assert found.command == ["/bin/sh", "-c", "cd /srv &&  ./backup.sh --all  # not a comment"]
    assert found.cwd == "/home/alice"
    assert found.env == {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": "/home/alice", "LOGNAME": "alice"}


def test_words_for_rules():
    assert entry("@daily x").trigger == Cron("@daily")
    assert entry("@reboot x").trigger is None
    assert entry("0 0 * jan mon-fri x").trigger == Cron("0 0 * jan mon-fri")


def test_settings_hold_from_their_line_on():
    crontab = read(
        "0 1 * * * before\n"
        "SHELL=/bin/bash\nHOME = /srv\nPATH=/opt/bin:/bin\n"
        'QUOTED = \' two  blanks \'\n"NAMED"="it\'s"\nBARE= a b  \nEMPTY=\n'
        "CRON_TZ=Asia/Shanghai\n0 2 * * * within\nCRON_TZ=\n0 3 * * * after\n",
        tz="Europe/Berlin",
    )
    assert (crontab.slips, crontab.notes) == ([], [])
    before, within, after = crontab.entries
    assert (before.command[0], before.cwd, before.trigger.tz) == ("/bin/sh", "/home/alice", "Europe/Berlin")
    assert (within.command[0], within.cwd, within.trigger.tz) == ("/bin/bash", "/srv", "Asia/Shanghai")
    assert within.env == {
        "SHELL": "/bin/bash", "PATH": "/opt/bin:/bin", "HOME": "/srv", "LOGNAME": "alice", "QUOTED": " two  blanks ",
        "NAMED": "it's", "BARE": "a b", "EMPTY": "",
    }  # fmt: skip
    assert after.trigger.tz == "Europe/Berlin"
    assert "QUOTED" not in before.env


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("MAILTO=me@example.com", "mainspring logs"),
        ("LOGNAME=bob", "stays alice"),
        ("TZ=Asia/Tokyo", "CRON_TZ"),
        ("PATH=$HOME/bin:/bin", "in the place of $"),
        ("RANDOM_DELAY=10", "exact"),
    ],
)
def test_settings_that_mean_something_else_here_are_said(line, word):
    (note,) = read(f"\n{line}\n0 3 * * * x").notes
    assert (note.line, note.text) == (2, line.partition("=")[0])
    assert word in note.says


def test_no_mail_needs_no_word():
    assert read('MAILTO=""').notes == []


@pytest.mark.parametrize(
    ("text", "command", "fed"),
    [
        ("mail boss%Good morning", "mail boss", "Good morning\n"),
        ("mail boss%one%%three%", "mail boss", "one\n\nthree\n"),
        (r"date +\%F", "date +%F", None),
        (r"cat%100\% of it%$HOME 'x'", "cat", "100% of it\n$HOME 'x'\n"),
        ("cat%", "cat", "\n"),
        (r"grep '\.' x", r"grep '\.' x", None),
    ],
)
def test_percent_signs(text, command, fed):
    found = entry(f"0 3 * * * {text}").command
    if fed is None:
        assert found == ["/bin/sh", "-c", command]
    else:
        assert found[4:] == [fed, "/bin/sh", command]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("61 3 * * * x", "    ^^"[2:]),
        ("0 3 * * fro x", "weekday"),
        ("0 0 31 2 * x", "31 February"),
        ("0 3 * *", "got 4 words"),
        ("0 3 * * *", "no command"),
        ("@daily", "no command"),
        ("@dayly x", "@daily"),
        ("SHELL=sh", "absolute path"),
        ("CRON_TZ=Asia/Shangai", "Asia/Shanghai"),
        ("0 3 * * * \0", "NUL"),
        (b"0 3 * * * \xff", "no UTF-8 at byte 11"),
        ("rm -rf x", "got 3 words"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(line, why):
    raw = line if isinstance(line, bytes) else line.encode()
    crontab = read(b"# one\n0 3 * * * good\n" + raw + b"\n\n0 4 * * * good\n")
    (slip,) = crontab.slips
    assert slip.line == 3
    assert why in slip.says


def test_lines_may_end_as_they_like():
    assert [one.command[-1] for one in read("0 3 * * * a\r\n0 4 * * * b").entries] == ["a", "b"]


def test_a_system_crontab_names_users():
    assert entry("17 *\t* * *\talice\tcd / && run-parts /etc", users=True).command[-1] == "cd / && run-parts /etc"
    crontab = read("17 * * * * root x\n0 3 * * * alice\n@daily alice y\n@reboot bob z\n", users=True)
    assert [(slip.line, slip.says[:16]) for slip in crontab.slips] == [
        (1, "it runs as 'root"), (2, "there is no comm"), (4, "it runs as 'bob'"),
    ]  # fmt: skip


def test_names_are_told_by_the_program_and_stable():
    lines = [
        "./backup.sh --all", "cd /srv/shop && /usr/bin/python3 -u report.py", "FOO=1 nice -n 10 make-it > /dev/null",
        "echo a; echo b", "./backup.sh", "bash", "'unclosed", "/opt/a b.sh", "cd /x",
    ]  # fmt: skip
    entries = [entry(f"0 3 * * * {line}") for line in lines]
    assert names(entries, "web-") == [
        "web-backup.sh", "web-report.py", "web-make-it", "web-echo", "web-backup.sh-2", "web-bash", "web-unclosed",
        "web-a", "web-cd",
    ]  # fmt: skip
    assert len(set(names(entries * 3, ""))) == 3 * len(entries)


def test_a_name_that_looks_like_a_number_of_another():
    entries = [entry(f"0 3 * * * {line}") for line in ("x", "x-2", "x")]
    assert len(set(names(entries, ""))) == 3


# ── importing ──────────────────────────────────────────────────────────────────────────────────────────────────
def schedules(cli):
    return {one["name"]: one for one in cli.json("schedules")}


def test_an_import_says_each_line_and_when(cli, write):
    write("tab", "MAILTO=x@example.com\n0 3 * * * ./a.sh\nCRON_TZ=Asia/Shanghai\n@weekly ./b.sh\n")
    dry = cli("import", "crontab", "tab", "--dry-run")
    assert not cli.store.exists()
    assert "line 2: cron-a.sh would be added: cron '0 3 * * *' in UTC" in dry.stdout
    assert dry.stdout.count("T03:00:00.000+00:00") == 3
    done = cli("import", "crontab", "tab")
    assert "line 4: cron-b.sh added: cron '@weekly' in Asia/Shanghai" in done.stdout
    assert "line 1: MAILTO is not used" in done.stderr
    assert "no daemon runs" in done.stderr
    assert schedules(cli)["cron-a.sh"]["command"] == ["/bin/sh", "-c", "./a.sh"]
    assert schedules(cli)["cron-a.sh"]["app"] == f"crontab:{cli.directory}/tab"


def test_an_import_as_json(cli, write, monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    write("tab", "TOKEN=$hidden\n0 3 * * * ./a.sh\n@reboot ./warm.sh 'a b'\n")
    shown = cli.json("import", "crontab", "tab")
    assert "hidden" not in str(shown)
    (one,) = shown["schedules"]
    assert (one["line"], one["outcome"], one["name"], one["cwd"]) == (2, "added", "cron-a.sh", "/somewhere")
    assert (shown["dry_run"], shown["removed"]) == (False, [])
    assert [note["line"] for note in shown["notes"]] == [1, 3]
    assert "mainspring now --name cron-warm.sh --cwd /somewhere" in shown["notes"][1]["says"]
    assert "./warm.sh" in shown["notes"][1]["says"]
    client = Daemon(cli.store)
    payload = client.schedules()[0].definition.work.payload
    client.close()
    assert decode_call(payload).env == {
        "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": "/somewhere", "TOKEN": "$hidden",
        "LOGNAME": pwd.getpwuid(os.getuid()).pw_name,
    }  # fmt: skip


def test_importing_again_makes_them_agree_with_the_file(cli, write):
    write("tab", "0 1 * * * a\n0 2 * * * b\n0 3 * * * c\n")
    cli("import", "crontab", "tab")
    cli("every", "1h", "--name", "cron-mine", "--", "true")
    cli("schedules", "pause", "cron-a")
    write("tab", "0 1 * * * a\n0 22 * * * b\n0 4 * * * d\n")
    dry = cli.json("import", "crontab", "tab", "--dry-run")
    assert set(schedules(cli)) == {"cron-a", "cron-b", "cron-c", "cron-mine"}
    done = cli.json("import", "crontab", "tab")
    for shown in (dry, done):
        assert [one["outcome"] for one in shown["schedules"]] == ["kept", "changed", "added"]
        assert shown["removed"] == ["cron-c"]
    assert set(schedules(cli)) == {"cron-a", "cron-b", "cron-d", "cron-mine"}
    assert schedules(cli)["cron-a"]["paused"]
    assert "22" in schedules(cli)["cron-b"]["rule"]


def test_nothing_is_imported_beside_a_line_that_is_wrong(cli, write):
    write("tab", "0 3 * * * good\n61 * * * * x\n0 4 * * * good\n* * x\n")
    said = cli("import", "crontab", "tab", code=2)
    assert "2 lines of tab cannot be read; nothing is imported" in said.stderr
    assert "line 2: 61 * * * * x" in said.stderr
    assert "line 4: * * x" in said.stderr
    assert said.stdout == ""
    assert not cli.store.exists()


def test_a_name_of_somebody_else_is_a_conflict_and_changes_nothing(cli, write):
    cli("every", "1h", "--name", "cron-b", "--", "true")
    write("tab", "0 3 * * * a\n0 3 * * * b\n")
    assert "--name-prefix" in cli("import", "crontab", "tab", code=4).stderr
    assert set(schedules(cli)) == {"cron-b"}
    cli("import", "crontab", "tab", "--name-prefix", "web-", "--misfire", "skip", "--overlap", "allow")
    assert set(schedules(cli)) == {"cron-b", "web-a", "web-b"}
    client = Daemon(cli.store)
    rules = {one.name: one.definition.rule for one in client.schedules()}
    client.close()
    assert (rules["web-a"].misfire, rules["web-a"].overlap) == ("skip", "allow")


def test_what_comes_after_a_percent_sign_is_read_by_the_command_as_it_is(cli, write):
    write("tab", 'A=1\n0 3 * * * cat; echo "$A $HOME" in $(pwd); exit 3%it\'s \\%5 $HOME%\n')
    cli("import", "crontab", "tab", "--name-prefix", "fed-")
    task = cli.json("schedules", "run-now", "fed-cat")
    cli.work()
    shown = cli.json("show", task["id"])
    home = os.path.realpath(os.environ["HOME"])
    assert shown["output"] == f"it's %5 $HOME\n1 {os.environ['HOME']} in {home}\n"
    assert shown["exit_code"] == 3


def test_a_system_crontab_needs_to_be_called_one(cli, write):
    assert "--system" in cli("import", "crontab", "/etc/crontab", code=2).stderr
    me = pwd.getpwuid(os.getuid()).pw_name
    write("tab", f"17 * * * * {me} ./hourly.sh\n")
    assert cli.json("import", "crontab", "tab", "--system")["schedules"][0]["command"][-1] == "./hourly.sh"
    write("tab", f"17 * * * * not-{me} ./hourly.sh\n")
    assert f"it runs as 'not-{me}'" in cli("import", "crontab", "tab", "--system", code=2).stderr


def test_an_empty_file_and_none(cli, write):
    write("tab", "# nothing\n")
    assert "there are no rules" in cli("import", "crontab", "tab").stdout
    assert "no file 'tub'" in cli("import", "crontab", "tub", code=3).stderr
    assert "did you mean 'crontab'" in cli("import", "crontap", "tab", code=2).stderr
    cli("import", code=2)
