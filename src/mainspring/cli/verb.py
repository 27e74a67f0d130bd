"""What all verbs have in common: the options --store, --app, --json and --debug, examples, and hints for slips."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

_COMMON = ("store", "app", "as_json", "debug")


def common_options() -> list[click.Parameter]:
    """The options of every verb; they may also stand before the verb."""
    return [
        click.Option(["--store"], metavar="URL", help="The store: a path, or sqlite:///path."),
        click.Option(["--app"], metavar="MODULE:NAME", help="The store of this Daemon, such as shop:daemon."),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON document on stdout."),
        click.Option(["--debug"], is_flag=True, hidden=True, help="Show where an error comes from."),
    ]


def close_name(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` when a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


class Verbs(click.Group):
    """A group that answers an unknown verb with the one that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that `args` begins with."""
        word = args[0]
        if self.get_command(ctx, word) is None and not ctx.resilient_parsing and not word.startswith("-"):
            known = self.list_commands(ctx)
            raise click.UsageError(
                f"there is no verb {word!r}{close_name(word, known) or '; there are: ' + ', '.join(known)}", ctx
            )
        return super().resolve_command(ctx, args)


class Verb(click.Command):
    """A verb. Its function gets a `Session` first, then its own parameters."""

    def __init__(self, *args: object, examples: str = "", **attributes: object) -> None:
        super().__init__(*args, **attributes)  # type: ignore[arg-type]  # as the decorator was given them
        self.examples = examples
        self.params.extend(common_options())

    def invoke(self, ctx: click.Context) -> object:
        """Put the common options into a session; those before the verb count where those after it say nothing."""
        from mainspring.cli.session import Session

        said: dict[str, object] = {}
        for word in _COMMON:
            said[word] = ctx.params.pop(word, None)
            above = ctx.parent
            while above is not None and not said[word]:
                said[word] = above.params.get(word)
                above = above.parent
        ctx.obj = Session(**said)  # type: ignore[arg-type]  # texts and flags, as the options declare
        try:
            return super().invoke(ctx)
        finally:
            ctx.obj.close()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, as they are typed."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")
        super().format_epilog(ctx, formatter)


def verb(name: str, *, examples: str, cls: type[Verb] = Verb) -> Callable[[Callable[..., object]], Verb]:
    """Make a function a verb; `examples` are shown at the end of its help, a line each."""
    return lambda function: click.command(name, cls=cls, examples=examples)(click.pass_obj(function))


class Family(Verbs):
    """Verbs under a verb; alone it lists."""

    def __init__(self, *args: object, **attributes: object) -> None:
        super().__init__(*args, **attributes)  # type: ignore[arg-type]  # as the decorator was given them
        self.invoke_without_command = True
        self.no_args_is_help = False
        self.params.extend(common_options())

    def invoke(self, ctx: click.Context) -> object:
        """Without a verb: `list`."""
        if not ctx.args and not getattr(ctx, "_protected_args", ()):
            listing = self.get_command(ctx, "list")
            assert listing is not None
            with listing.make_context("list", [], parent=ctx) as inner:
                return listing.invoke(inner)
        return super().invoke(ctx)


def exit_code(codes: Sequence[int]) -> int:
    """Of several: the highest."""
    return max(codes, default=0)
