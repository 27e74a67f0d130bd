"""The OpenAPI document says what the server does: each answer is as its schema has it."""

import re

import msgspec

from mainspring.web.operations import table


def fits(value, schema, document):
    """Whether JSON is as a schema of the document says, as far as schemas here go."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return fits(value, document["components"]["schemas"][name], document)
    if "anyOf" in schema:
        return any(fits(value, one, document) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    match schema.get("type"):
        case "object":
            known = schema.get("properties", {})
            return (
                isinstance(value, dict)
                and set(schema.get("required", [])) <= set(value)
                and all(fits(one, known.get(name, schema.get("additionalProperties") or {}), document)
                        for name, one in value.items())
                and ("properties" not in schema or set(value) <= set(known))
            )  # fmt: skip
        case "array":
            return isinstance(value, list) and all(fits(one, schema.get("items", {}), document) for one in value)
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
    return True


def test_the_check_can_fail():
    document = {"components": {"schemas": {"A": {"type": "object", "properties": {"a": {"type": "string"}}}}}}
    assert fits({"a": "x"}, {"$ref": "#/components/schemas/A"}, document)
    assert not fits({"a": 1}, {"$ref": "#/components/schemas/A"}, document)
    assert not fits({"b": "x"}, {"$ref": "#/components/schemas/A"}, document)


def test_every_answer_is_as_it_says(ask, daemon):
    document = ask("GET", "/openapi.json").body
    daemon.add_task("shop:greet", ["a"], name="x", after="1h")
    daemon.add_schedule("shop:greet", "1h", args=["a"], name="x")
    daemon.add_listener("shop:greet", args=["a"], name="x")
    new = {"function": "shop:greet", "args": ["a"], "name": "y", "after": "1h"}
    bodies = {
        "post-tasks": new, "post-tasks-batch": {"tasks": [new]}, "post-tasks-id-reschedule": {"after": "1h"},
        "post-tasks-change": {"verb": "cancel", "which": {}}, "post-pause": {}, "post-resume": {},
        "post-schedules": {**{k: v for k, v in new.items() if k != "after"}, "rule": {"every": "1h"}},
        "patch-schedules-name": {"every": "2h"}, "post-schedules-name-pause": {},
        "post-schedules-name-backfill": {"start": 1_700_000_000, "end": 1_700_000_001},
        "post-listeners": {"function": "shop:greet", "args": ["a"], "name": "z"},
    }  # fmt: skip
    later = ["run-now", "cancel", "retry"]  # so that each finds the task in a state that allows it
    order = sorted(
        table(), key=lambda one: (one.method == "DELETE", later.index(one.verb) if one.verb in later else -1)
    )
    for operation in order:
        told = document["paths"][operation.path][operation.method.lower()]
        path = operation.path.replace("{id}", "1").replace("{name}", "x")
        answer = ask(operation.method, path, bodies.get(operation.id))
        assert answer.status == operation.status, (operation.id, answer.body)
        schema = told["responses"][str(answer.status)]["content"]["application/json"]["schema"]
        assert fits(answer.body, schema, document), (operation.id, answer.body)
    problem = ask("GET", "/tasks/99").body
    assert fits(problem, document["paths"]["/tasks/{id}"]["get"]["responses"]["default"]["content"]
                ["application/problem+json"]["schema"], document)  # fmt: skip


def test_everything_it_refers_to_is_there(ask):
    document = ask("GET", "/openapi.json").body
    text = msgspec.json.encode(document).decode()
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(document["components"]["schemas"])
    assert document["openapi"] == "3.1.0"
    for operation in table():
        named = {one["name"] for one in document["paths"][operation.path][operation.method.lower()]["parameters"]}
        assert set(re.findall(r"{(\w+)}", operation.path)) <= named
