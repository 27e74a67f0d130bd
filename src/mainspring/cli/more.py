"""`demo`, `bench` and `completion`."""

import click

from mainspring.cli.session import Session
from mainspring.cli.terminal import write_json
from mainspring.cli.verb import verb

# what these are told, and their --help, is theirs
_ONWARD = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}


@click.command("demo", context_settings=_ONWARD)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo_verb(arguments: tuple[str, ...]) -> int:
    """Play a flash sale that opens on the millisecond, is killed in the middle, and checks its own books."""
    from mainspring.demo import main

    return main(list(arguments))


@click.command("bench", context_settings=_ONWARD)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench_verb(arguments: tuple[str, ...]) -> int:
    """Measure on this machine how late tasks start and how many it runs."""
    from mainspring.bench import main

    return main(list(arguments))


@verb(
    "completion",
    examples="""
        mainspring completion bash > ~/.local/share/bash-completion/completions/mainspring
        mainspring completion zsh > ~/.zfunc/_mainspring
        mainspring completion fish > ~/.config/fish/completions/mainspring.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_verb(session: Session, shell: str) -> int:
    """Print the script that completes verbs and options in a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    maker = kind(click.get_current_context().find_root().command, {}, "mainspring", "_MAINSPRING_COMPLETE")
    # the template alone: `source()` would start a bash to ask for its version
    script = maker.source_template % maker.source_vars()
    if session.as_json:
        write_json({"shell": shell, "script": script})
    else:
        click.echo(script)
    return 0
