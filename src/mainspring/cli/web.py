"""`web`: the verbs over HTTP."""

import click

from mainspring.cli.session import Session
from mainspring.cli.terminal import say
from mainspring.cli.verb import verb


@verb(
    "web",
    examples="""
        mainspring web
        mainspring web --port 0 --json
        mainspring web --tokens tokens.txt --host 192.168.1.10 --allow-host tasks.example.org
    """,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8420, show_default=True, help="0: any that is free.")
@click.option("--tokens", metavar="FILE", help="Who may come in: lines of ROLE NAME TOKEN (viewer, operator, admin).")
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Another name it is asked for by.")
@click.option("--programs", is_flag=True, help="Let admins add programs, not functions alone.")
def web_verb(session: Session, host: str, port: int, tokens: str | None, hosts: tuple[str, ...], programs: bool) -> int:
    """Serve the JSON API of a store, on this machine alone unless more is said, to those who know a token."""
    from mainspring.web.serve import read_tokens, serve

    client = session.client
    client.store.paused()  # a store that is not there is said now
    visitors = None if tokens is None else read_tokens(tokens)
    served = serve(client, host=host, port=port, tokens=visitors, hosts=hosts, programs=programs)
    if not session.answer({"url": served.url, "token": served.token}):
        say(f"serving {client.store.url} at {served.url}api/v1/; Ctrl-C ends it")
        if served.token is not None:
            say(f"send with each request: Authorization: Bearer {served.token}")
    served.run()
    return 0
