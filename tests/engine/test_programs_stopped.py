"""Programs are stopped: asked first, then killed, with all they started; and none is left when it should be gone."""

import signal
import sys

import pytest
from program_parts import ENV, FOREVER, POLITE, run, sh, spawn_ready

pytestmark = pytest.mark.process


def test_terminate_asks_first(programs):
    handle = spawn_ready(programs, 'exec "$@"', sys.executable, "-c", POLITE)
    handle.terminate(grace_us=60_000_000)
    result = handle.wait()
    assert (result.exit_code, result.output) == (5, "ready\nbye\n")


def test_terminate_kills_the_whole_group_when_the_grace_is_over(programs, witness):
    handle = spawn_ready(programs, f'trap "" TERM; exec 3> "$1"; {FOREVER} & echo ready; {FOREVER}', str(witness.path))
    handle.terminate(grace_us=20_000)
    assert handle.wait().signal == signal.SIGKILL
    witness.wait_until_all_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="without a subreaper the rest of the group is killed at once")
def test_a_terminated_program_is_over_only_when_its_group_is_gone(programs, witness):
    child = f'(trap "" TERM; echo ready; exec > /dev/null 2>&1; while :; do {FOREVER}; done) &'
    handle = spawn_ready(programs, f'exec 3> "$1"; {child} exec {FOREVER}', str(witness.path))
    handle.terminate(grace_us=200_000)  # the leader heeds it at once, its child never
    assert handle.wait().signal == signal.SIGTERM
    assert witness.all_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="without a subreaper the rest of the group is killed at once")
def test_the_rest_of_a_terminated_group_gets_the_grace_too(programs, witness):
    script = f'exec 3> "$1"; "$2" -c "$3" & exec {FOREVER}'
    handle = spawn_ready(programs, script, str(witness.path), sys.executable, POLITE)
    handle.terminate(grace_us=60_000_000)
    result = handle.wait()
    assert witness.all_gone()
    assert (result.signal, result.output) == (signal.SIGTERM, "ready\nbye\n")


def test_kill_does_not_ask(programs):
    handle = spawn_ready(programs, f'trap "exit 5" TERM; echo ready; {FOREVER}')
    handle.kill()
    assert handle.wait().signal == signal.SIGKILL


def test_kill_cuts_a_long_grace_short(programs):
    handle = spawn_ready(programs, f'trap "echo no" TERM; echo ready; while :; do {FOREVER}; done')
    handle.terminate(grace_us=3_600_000_000)
    handle.kill()
    assert handle.wait().signal == signal.SIGKILL


def test_terminate_after_the_end_does_nothing(programs):
    handle = programs.spawn(["true"], cwd="/", env=ENV)
    assert handle.wait().ok
    handle.terminate()
    handle.kill()
    assert handle.wait().ok


def test_run_hands_its_handle_to_whoever_may_stop_it(programs):
    assert run(programs, ["sleep", "100000"], on_start=lambda handle: handle.terminate()).signal == signal.SIGTERM


def test_children_left_behind_live_until_the_stop(programs, witness):
    result = run(programs, sh(f'exec 3> "$1"; {FOREVER} > /dev/null 2>&1 & exit 0', str(witness.path)))
    assert result.ok
    assert not witness.all_gone()
    programs.stop()
    assert witness.all_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="needs setsid(1) and a subreaper")
def test_stop_ends_everything_even_what_ignores_it_and_moved_away(programs, witness):
    script = f'trap "" TERM; exec 3> "$1"; setsid {FOREVER} & setsid sh -c "{FOREVER} & exit 0"; echo ready; {FOREVER}'
    handle = spawn_ready(programs, script, str(witness.path))
    programs.stop(grace_us=20_000)
    assert witness.all_gone()
    assert handle.wait().signal == signal.SIGKILL
    programs.stop()  # twice is fine


def test_it_can_be_used_again_after_a_stop(programs):
    programs.stop()
    assert run(programs, ["true"]).ok
    programs.stop()
    assert run(programs, ["true"]).ok
