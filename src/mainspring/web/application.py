"""The ASGI application: from the table of operations to routes, each guarded, decoded, run beside the loop, encoded."""

import asyncio
import logging
import types
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mainspring.client import Client
from mainspring.web import openapi
from mainspring.web.guard import COOKIE, HEADERS, Guard, Tokens
from mainspring.web.operations import Call, Nothing, Operation, table
from mainspring.web.problems import TYPE, Refused, problem, problem_of
from mainspring.web.roles import Authorize, Role

log = logging.getLogger("mainspring")

API = "/api/v1"
_MOST_BYTES = 1_000_000  # of a body
_THREADS = 8  # wait for the store beside the loop
Endpoint = Callable[[Request], Awaitable[Response]]


def asgi(
    client: Client, *, authorize: Authorize, hosts: Sequence[str] | None = None, programs: bool = False
) -> Starlette:
    """The application for a client or daemon. `authorize` says who a request is from, by its headers; nobody: 401.

    `hosts`: the names it answers to (None: the host application sees to that). `programs`: whether programs may be
    added. Raises nothing; what goes wrong in a request is its answer.
    """
    return Server(client, Guard(authorize, hosts), programs=programs).application(
        authorize if isinstance(authorize, Tokens) else None
    )


class Server:
    """What the routes share."""

    def __init__(self, client: Client, guard: Guard, *, programs: bool) -> None:
        self.client = client
        self.guard = guard
        self._programs = programs
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mainspring-http")

    def application(self, tokens: Tokens | None) -> Starlette:
        """All routes. With `tokens` there is a login."""
        operations = table()
        described = msgspec.json.encode(openapi.document(operations))
        routes = [
            Route("/health", self._open(self._health)),
            Route("/ready", self._open(self._ready)),
            Route(f"{API}/openapi.json", self._guarded(Role.VIEWER, partial(_constant, described))),
            *(self._route(operation) for operation in operations),
        ]
        if tokens is not None:
            routes.append(Route("/login", self._open(partial(_login, tokens))))
        return Starlette(routes=routes, exception_handlers={HTTPException: _unrouted})

    def _route(self, operation: Operation) -> Route:
        path = operation.path.replace("{name}", "{name:path}")  # a name may have slashes
        return Route(
            API + path, self._guarded(operation.role, partial(self._operate, operation)), methods=[operation.method]
        )

    async def _operate(self, operation: Operation, request: Request) -> Response:
        call = Call(
            client=self.client,
            path={name: str(value) for name, value in request.path_params.items()},
            query=_query(request, operation.query),
            body=await _body(request, operation.body),
            programs=self._programs,
        )
        answer = await self.beside(operation.handler, call)
        return _json(answer, operation.status)

    async def beside(self, function: Callable[..., object], *given: object) -> object:
        """Run it in a thread: it may wait for the store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *given))

    def _guarded(self, least: Role, endpoint: Endpoint) -> Endpoint:
        """Nobody gets past it who may not."""

        async def guarded(request: Request) -> Response:
            self.guard.visitor(_headers(request), least)
            return await endpoint(request)

        return self._open(guarded)

    def _open(self, endpoint: Endpoint) -> Endpoint:
        """For everybody, from our own pages; an error is an answer too."""

        async def answered(request: Request) -> Response:
            try:
                self.guard.check_place(request.method, _headers(request))
                response = await endpoint(request)
            except Exception as error:  # noqa: BLE001  # whatever it is, somebody waits for an answer
                response = _problem_response(error)
            response.headers.update(HEADERS)
            return response

        return answered

    async def _health(self, _: Request) -> Response:
        """It answers, so it lives."""
        return _json({"status": "ok"})

    async def _ready(self, _: Request) -> Response:
        """The store can be read, and somebody runs it."""
        nodes = await self.beside(lambda: [node for node in self.client.store.nodes() if node.alive])
        assert isinstance(nodes, list)
        return _json({"status": "ok" if nodes else "no daemon", "nodes": len(nodes)}, 200 if nodes else 503)


def _headers(request: Request) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw}


async def _constant(body: bytes, _: Request) -> Response:
    return Response(body, media_type="application/json")


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _problem_response(error: Exception) -> Response:
    told = problem_of(error)
    if told.status >= 500:
        log.error("a request failed: %s", told.detail, exc_info=error)
    response = Response(msgspec.json.encode(told), told.status, media_type=TYPE)
    if told.status == 429:
        response.headers["retry-after"] = "1"
    if told.status == 401:
        response.headers["www-authenticate"] = 'Bearer realm="mainspring"'
    return response


async def _unrouted(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "no-such-path", 405: "no-such-method"}.get(error.status_code, "refused")
    told = problem(error.status_code, code, f"{error.detail}; {API}/openapi.json lists what there is")
    response = Response(msgspec.json.encode(told), error.status_code, headers=error.headers, media_type=TYPE)
    response.headers.update(HEADERS)
    return response


def _query(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The query, each value as its type; a list may be given several times."""
    lists = {field.encode_name for field in msgspec.structs.fields(kind) if _is_list(field.type)}
    given: dict[str, object] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        if name not in lists and len(values) > 1:
            raise Refused(400, "query", f"{name}= was given {len(values)} times; once is enough")
        given[name] = values if name in lists else values[0]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(kind)) or "nothing"
        raise Refused(400, "query", f"in the query: {error}; it may have {known}") from None


def _is_list(kind: object) -> bool:
    return typing.get_origin(kind) is list and not isinstance(kind, types.UnionType)


async def _body(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The body, checked; nothing is an empty object."""
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size > _MOST_BYTES:
            raise Refused(413, "too-much", f"a body has at most {_MOST_BYTES:,} bytes")
        parts.append(part)
    body = b"".join(parts)
    if not body and kind is not Nothing and request.method == "GET":
        raise Refused(400, "body", "expected JSON")
    if body and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "not-json", "a body is JSON: Content-Type: application/json")
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "body", f"in the body: {error}") from None


async def _login(tokens: Tokens, request: Request) -> Response:
    """From the link that was printed to a cookie: the token leaves the address bar at once."""
    token = request.query_params.get("token", "")
    if tokens.of(token) is None:
        raise Refused(401, "unknown", "this is not a token that is known here; see what was printed at the start")
    response = RedirectResponse("./", 303)
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response
