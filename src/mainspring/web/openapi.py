"""The OpenAPI document (3.1), made from the table of operations and the types that they decode and answer with."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from mainspring.version import __version__
from mainspring.web.operations import Nothing, Operation
from mainspring.web.problems import TYPE, HttpProblem

_REF = "#/components/schemas/{name}"


def document(operations: Sequence[Operation]) -> dict[str, object]:
    """For all of them."""
    kinds = list(dict.fromkeys([HttpProblem, *(kind for one in operations for kind in (one.answer, one.body))]))
    _, components = _schemas([kind for kind in kinds if kind is not Nothing])
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mainspring", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"},
            "description": "What the command line can do, over HTTP. Instants are ISO 8601 in UTC, durations texts "
            "(`30s`) or seconds. Errors are problem documents (RFC 9457) with a `code`.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def _operation(operation: Operation) -> dict[str, object]:
    told: dict[str, object] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": f"`mainspring {operation.verb}`; takes the role {operation.role.word}.",
        "parameters": [*_path(operation), *_query(operation)],
        "responses": {
            str(operation.status): {"description": "Done", "content": _content("application/json", operation.answer)},
            "default": {"description": "What went wrong", "content": _content(TYPE, HttpProblem)},
        },
    }
    if operation.body is not Nothing:
        told["requestBody"] = {"required": True, "content": _content("application/json", operation.body)}
    return told


def _schemas(kinds: Sequence[object]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:  # JSON, of any depth
    return msgspec.json.schema_components(kinds, ref_template=_REF, schema_hook=_whatever)


def _whatever(kind: type) -> dict[str, Any]:  # likewise
    """What tasks are given and return may be anything that JSON has."""
    if kind is object:
        return {"description": "any JSON"}
    raise NotImplementedError


def _content(media: str, kind: object) -> dict[str, object]:
    [schema], _ = _schemas([kind])
    return {media: {"schema": schema}}


def _path(operation: Operation) -> list[dict[str, object]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def _query(operation: Operation) -> list[dict[str, object]]:
    """Each field of the query; all may be left out."""
    told: list[dict[str, object]] = []
    for field in msgspec.structs.fields(operation.query):
        [schema], _ = _schemas([field.type])
        if "anyOf" in schema:  # null is to leave it out
            [schema] = [one for one in schema["anyOf"] if one != {"type": "null"}]
        told.append({"name": field.encode_name, "in": "query", "required": False, "schema": schema})
    return told
