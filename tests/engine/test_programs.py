"""Programs, with real ones: how they start, what they see and write, and what is left when a process dies."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import types

import pytest
from program_parts import ENV, FOREVER, Watch, run, sh, spawn_ready

from mainspring.engine import programs as programs_module
from mainspring.engine.programs import Programs, environment
from mainspring.errors import InvalidValue, NotAllowed

pytestmark = pytest.mark.process


# -- how they end


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_codes(programs, code):
    result = run(programs, sh(f"exit {code}"))
    assert (result.exit_code, result.signal, result.error, result.lost) == (code, None, None, False)
    assert result.ok == (code == 0)


@pytest.mark.parametrize("name", ["KILL", "INT", "HUP", "TERM", "PIPE"])
def test_signals_have_their_default_effect_and_are_reported(programs, name):
    result = run(programs, sh(f"kill -{name} $$; exit 0"))
    assert (result.exit_code, result.signal) == (None, getattr(signal, f"SIG{name}"))
    assert not result.ok


def test_what_it_used_is_counted(programs):
    result = run(programs, [sys.executable, "-c", "x = bytearray(50_000_000); sum(range(1_000_000))"])
    assert result.cpu > 1_000
    assert result.max_rss > 50_000_000


def test_fifty_at_once(programs, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    watch = Watch()
    gate_fd = os.open(gate, os.O_RDWR)
    try:
        handles = [
            programs.spawn(sh('echo up; read x < "$1"; exit $2', str(gate), str(n)), cwd="/", env=ENV, on_output=watch)
            for n in range(50)
        ]
        watch.wait_for(b"up\n", 50)  # all run, none can end
        assert len({handle.pid for handle in handles}) == 50
        os.write(gate_fd, b"\n" * 50)
        assert [handle.wait().exit_code for handle in handles] == list(range(50))
    finally:
        os.close(gate_fd)


def test_nothing_is_left_open_by_many_runs(programs):
    run(programs, ["true"])
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        run(programs, sh("echo a; echo b >&2"))
        run(programs, ["/no/such/program"])
    assert len(os.listdir("/dev/fd")) == before


def test_on_exit_gets_the_result_on_a_thread_of_ours(programs):
    got, done = [], threading.Event()

    def on_exit(result):
        got.append((result, threading.current_thread().name))
        done.set()

    handle = programs.spawn(sh("echo hi; exit 3"), cwd="/", env=ENV, on_exit=on_exit)
    assert done.wait(60)
    assert got == [(handle.wait(), "mainspring-programs")]
    assert (got[0][0].exit_code, got[0][0].output) == (3, "hi\n")


def test_callbacks_that_raise_are_logged_and_break_nothing(programs, caplog):
    def fail(*_):
        raise RuntimeError("mine")

    handle = programs.spawn(sh("echo hi"), cwd="/", env=ENV, on_output=fail, on_exit=fail)
    assert handle.wait().output == "hi\n"
    assert run(programs, ["true"]).ok  # its exit comes after the callback of the first
    assert [record.exc_info[1].args for record in caplog.records] == [("mine",), ("mine",)]


# -- what they write


def test_output_of_both_streams_is_kept_in_the_order_in_which_it_came(programs, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    fd = os.open(gate, os.O_RDWR)
    streams = []

    def on_output(stream, data):
        streams.append((stream, data))
        os.write(fd, b"\n")

    script = 'echo one; read x < "$1"; echo two >&2; read x < "$1"; echo three'
    result = run(programs, sh(script, str(gate)), on_output=on_output)
    os.close(fd)
    assert result.output == "one\ntwo\nthree\n"
    assert streams == [("stdout", b"one\n"), ("stderr", b"two\n"), ("stdout", b"three\n")]


def test_ten_megabytes_are_cut_to_their_ends(programs):
    handle = programs.spawn(sh("echo first; head -c 10000000 /dev/zero | tr '\\0' x; echo last"), cwd="/", env=ENV)
    result = handle.wait()
    assert result.ok
    assert handle.tail.written == 10_000_011
    assert result.output.startswith("first\nxxx")
    assert result.output.endswith("xxx\nlast\n") or result.output.endswith("xlast\n")
    assert "\n[... 9,934,475 bytes left out ...]\n" in result.output
    assert len(result.output) < 66_000


def test_binary_output_does_no_harm(programs):
    result = run(programs, [sys.executable, "-c", "import os; os.write(1, bytes(range(256)))"])
    assert result.ok
    assert "ABC" in result.output
    assert "\0" not in result.output


def test_a_child_that_keeps_the_pipe_open_does_not_delay_the_result_for_ever(programs):
    result = run(programs, sh(f"{FOREVER} & echo done"))
    assert (result.exit_code, result.output) == (0, "done\n")


def test_output_can_be_read_while_it_runs(programs):
    handle = spawn_ready(programs, f"echo ready; exec {FOREVER}")
    assert handle.tail.news() == "ready\n"
    handle.kill()
    assert handle.wait().output == "ready\n"


# -- what they see


def test_the_environment_is_a_few_variables_and_what_was_given(programs, monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in (
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "USER",
        "LOGNAME",
        "SHELL",
        "TMPDIR",
        "LC_TIME",
        "AWS_SECRET",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, f"/{name}")
    monkeypatch.setenv("PATH", ENV["PATH"])
    env = environment({"MINE": "1", "HOME": "/mine"}, task_id="t7", attempt=2, run_at=1_764_208_800_000_250)
    out = run(programs, [sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))"], env=env).output
    seen = json.loads(out)
    seen.pop("LC_CTYPE", None)  # the interpreter's own doing
    assert seen == {
        **{name: f"/{name}" for name in ("LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR", "LC_TIME")},
        "PATH": ENV["PATH"],
        "HOME": "/mine",
        "MINE": "1",
        "MAINSPRING_TASK_ID": "t7",
        "MAINSPRING_ATTEMPT": "2",
        "MAINSPRING_RUN_AT": "2025-11-27T02:00:00.000250Z",
    }


def test_it_runs_in_its_directory_and_relative_commands_are_found_there(programs, tmp_path):
    script = tmp_path / "where.sh"
    script.write_text('#!/bin/sh\npwd; echo "$1"\n')
    script.chmod(0o755)
    assert run(programs, ["./where.sh", "a b"], cwd=tmp_path).output == f"{tmp_path.resolve()}\na b\n"


def test_it_has_no_input_and_none_of_our_descriptors_and_leads_a_session(programs):
    code = (
        "import os, sys; print(repr(sys.stdin.read()), sorted(os.listdir('/dev/fd'))[:3], os.getsid(0) == os.getpid())"
    )
    code += "\nprint([fd for fd in range(3, 200) if os.path.exists(f'/dev/fd/{fd}')])"
    with open(os.devnull) as ours:
        os.set_inheritable(ours.fileno(), True)
        assert run(programs, [sys.executable, "-c", code]).output == "'' ['0', '1', '2'] True\n[]\n"


def test_arguments_arrive_unchanged_and_no_shell_reads_them(programs):
    args = ["a b", "", "$HOME", "'\"", "日本", "\n", "*"]
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    assert json.loads(run(programs, [sys.executable, "-c", code, *args]).output) == args


def test_a_megabyte_of_arguments(programs):
    assert run(programs, sh("echo $#", *["x" * 3000] * 300)).output == "300\n"


# -- what cannot be started


@pytest.mark.parametrize(
    ("command", "cwd", "words"),
    [
        (["no-such-program"], "/", ["no such file", "ENOENT", "PATH"]),
        (["./no-such-program"], "/", ["no such file", "ENOENT", "cwd '/'"]),
        (["/etc/passwd"], "/", ["not executable", "EACCES", "chmod +x"]),
        (["true"], "/no/such/directory", ["cwd does not exist", "ENOENT", "/no/such/directory"]),
        (["true"], "/etc/passwd", ["cwd is not a directory", "ENOTDIR"]),
        (["true", "x" * 5_000_000], "/", ["E2BIG"]),
        (["a\0b"], "/", ["null byte"]),
    ],
)
def test_what_cannot_be_started_says_why(programs, command, cwd, words):
    # a directory on the path that may not be read would be told of first
    result = run(programs, command, cwd=cwd, env={**ENV, "PATH": os.defpath})
    assert [word for word in words if word not in result.error] == []
    assert (result.exit_code, result.signal, result.output, result.lost) == (None, None, "", False)


def test_a_script_without_a_first_line_is_no_program(programs, tmp_path):
    script = tmp_path / "plain"
    script.write_text("echo hi\n")
    script.chmod(0o755)
    assert "ENOEXEC" in run(programs, ["./plain"], cwd=tmp_path).error


def test_an_empty_command_is_refused(programs):
    with pytest.raises(InvalidValue, match="empty"):
        programs.spawn([], cwd="/", env=ENV)


def test_elsewhere_than_on_posix_it_says_so(programs, monkeypatch):
    monkeypatch.setattr(programs_module, "os", types.SimpleNamespace(name="nt"))
    with pytest.raises(NotAllowed, match="POSIX"):
        programs.spawn(["true"], cwd="/", env=ENV)


def test_a_keeper_that_cannot_be_launched_is_a_result_too(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    one = Programs()
    assert "/no/such/python" in one.run(["true"], cwd="/", env=ENV).error


def test_an_interpreter_that_is_none_ends_in_a_result(monkeypatch, programs):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    for _ in range(3):
        result = run(programs, ["true"])
        assert result.error is not None
        assert result.exit_code is None


# -- when a process dies


def keeper_of(programs) -> int:
    programs.warm()
    return programs._link._process.pid


def test_a_killed_keeper_loses_what_runs_and_another_one_takes_its_place(programs, witness):
    first = keeper_of(programs)
    handle = spawn_ready(programs, f'exec 3> "$1"; echo ready; {FOREVER}', str(witness.path))
    os.kill(first, signal.SIGKILL)
    result = handle.wait()
    assert (result.lost, result.exit_code, result.signal, result.output) == (True, None, None, "ready\n")
    assert "signal 9" in result.error
    witness.wait_until_all_gone()
    assert run(programs, sh("echo again")).output == "again\n"
    assert keeper_of(programs) != first


def test_a_request_to_a_keeper_that_has_just_died_is_never_left_hanging(programs):
    for _ in range(5):
        os.kill(keeper_of(programs), signal.SIGKILL)
        result = run(programs, ["true"])
        assert result.ok or (result.lost and result.exit_code is None)


def test_the_keeper_is_out_of_reach_of_the_terminal_and_of_polite_signals(programs):
    pid = keeper_of(programs)
    assert run(programs, ["true"]).ok  # its handlers are set by now
    assert os.getsid(pid) == pid
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert run(programs, ["true"]).ok
    assert keeper_of(programs) == pid


DAEMON = """
import fcntl, os, sys
from mainspring.engine.programs import Programs
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
programs = Programs([lock])
fork, count = sys.argv[2] == "fork", int(sys.argv[3])
ready = os.dup(1)
for _ in range(count):
    programs.spawn(sys.argv[4:], cwd="/", env=dict(os.environ), on_output=lambda stream, data: os.write(ready, data))
if fork:
    os.close(lock)  # the keeper has it; a forked child's copy would be another story
    child = os.fork()
    if child == 0:
        answer = programs.run(["true"], cwd="/", env=dict(os.environ))
        programs.stop()
        os.write(ready, b"c" if answer.ok else b"x")
        sys.stdin.read()
        os._exit(0)
sys.stdin.read()
"""


def killed_daemon(tmp_path, witness, script, *, fork, count):
    """Kill a daemon that runs `count` programs; then wait for its lock as a successor would. Is everything gone?"""
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            DAEMON,
            str(lock),
            "fork" if fork else "",
            str(count),
            *sh(script, str(witness.path)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as daemon:
        said = b""
        while len(said) < count + fork:
            said += daemon.stdout.read(1)
        assert sorted(said) == sorted(b"r" * count + b"c" * fork)
        fd = os.open(lock, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not witness.all_gone()
        daemon.kill()
        fcntl.flock(fd, fcntl.LOCK_EX)
        gone = witness.all_gone()
        os.close(fd)
    return gone


def test_a_killed_daemon_leaves_no_program_and_its_lock_is_free_only_then(tmp_path, witness):
    escaped = 'setsid sh -c "sleep 100000 & sleep 100000" &' if sys.platform == "linux" else ""
    script = f'exec 3> "$1"; {escaped} printf r; exec {FOREVER}'
    assert killed_daemon(tmp_path, witness, script, fork=False, count=5)


def test_a_killed_daemon_leaves_not_even_a_program_that_ignores_it(tmp_path, witness):
    assert killed_daemon(
        tmp_path, witness, f'exec 3> "$1"; trap "" TERM; printf r; while :; do {FOREVER}; done', fork=False, count=1
    )


def test_a_forked_child_hides_the_death_of_its_parent_from_nobody_and_has_programs_of_its_own(tmp_path, witness):
    assert killed_daemon(tmp_path, witness, f'exec 3> "$1"; printf r; exec {FOREVER}', fork=True, count=2)
