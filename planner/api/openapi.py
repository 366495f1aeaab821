"""The API in OpenAPI 3.1: requests from the contract's fields, addresses from declared operations."""

from __future__ import annotations

import re
from typing import Any

from planner.api import operations as _declared  # noqa: F401 - declares the planner's own
from planner.api.answer_schemas import SCHEMAS
from planner.api.middleware import LONGEST_KEY, ROOT
from planner.contract.schema import json_schema
from planner.web.operations import DECLARED, Operation, ref
from planner.web.programs import MAX_LIMIT, SCOPES

VERSION = "1.1.0"
NO_CONTENT = 204
INTRODUCTION = """One contract for the command line, the pages and this interface. Everything is in SI units
or says its unit in its name. An unknown field is an error. On the machine itself no login is needed to read;
elsewhere send `Authorization: Bearer` with a token from the page of tokens. Lists come in pages with `limit`
and `offset`, `GET` answers carry an `ETag`, `RateLimit-*` headers say how many requests are left, and a write
may carry an `Idempotency-Key`."""
#: How an answer other than the wanted one is described, by status.
REFUSALS = {
    401: "There is no login, or the token is not in force.",
    403: "The token has not the scope, or its owner may not.",
    422: "The question makes no sense: field, value, message and remedy of each problem.",
    429: "Too many requests; Retry-After says when to come again.",
    503: "The server is busy; Retry-After says when to come again.",
}


def openapi_document() -> dict[str, Any]:
    """The document; everything in it is JSON."""
    requests = json_schema()["$defs"]
    schemas = {**{name: _moved(schema) for name, schema in requests.items()}, **SCHEMAS}
    paths: dict[str, Any] = {}
    for each in DECLARED.values():
        paths.setdefault(f"{ROOT}{each.path}", {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": "Headroom", "version": VERSION, "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Scopes: " + "; ".join(f"{k.value}: {v}" for k, v in SCOPES.items()) + ".",
                }
            },
        },
    }


def _moved(schema: Any) -> Any:
    """The schema with its references pointing to where OpenAPI keeps schemas."""
    if isinstance(schema, dict):
        return {
            name: value.replace("#/$defs/", "#/components/schemas/") if name == "$ref" else _moved(value)
            for name, value in schema.items()
        }
    return [_moved(each) for each in schema] if isinstance(schema, list) else schema


def _operation(each: Operation) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "description": f"Scope of a token: `{each.scope.value}`.",
        "tags": [each.scope.value],
        # An empty requirement: on the machine itself none is asked for; what writes asks for it always.
        "security": [{"token": []}] if each.writes else [{}, {"token": []}],
        "responses": _responses(each),
    }
    if parameters := _parameters(each):
        said["parameters"] = parameters
    if each.takes is not None:
        body: dict[str, Any] = {"schema": each.takes}
        if each.example is not None:
            body["example"] = each.example
        said["requestBody"] = {"required": True, "content": {"application/json": body}}
    return said


def _parameters(each: Operation) -> list[dict[str, Any]]:
    text = {"type": "string"}
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", each.path)
    ]
    for name, meaning in each.parameters.items():
        found.append({"name": name, "in": "query", "description": meaning, "schema": text})
    if each.lists:
        whole = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
        found.append({"name": "limit", "in": "query", "description": "Rows of one page.", "schema": whole})
        place = {"type": "integer", "minimum": 0, "maximum": 10**9}
        found.append(
            {"name": "offset", "in": "query", "description": "Rows left out first.", "schema": place}
        )
    if each.writes:
        key = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"}
        said = "Sent again with the same key, the request is done once and answered alike."
        found.append({"name": "Idempotency-Key", "in": "header", "description": said, "schema": key})
    if each.method == "DELETE":
        said = "The ETag of what is meant: another one is left as it is."
        found.append({"name": "If-Match", "in": "header", "description": said, "schema": text})
    return found


def _responses(each: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": each.gives}}
    if each.streams:
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    wanted: dict[str, Any] = {"description": "The answer.", "content": content}
    if each.success == NO_CONTENT:
        wanted = {"description": "Done."}
    said: dict[str, Any] = {str(each.success): wanted}
    if each.method == "GET":
        wanted["headers"] = {
            "ETag": {"description": "Send it as If-None-Match.", "schema": {"type": "string"}}
        }
        said["304"] = {"description": "You have this answer already."}
    if each.later is not None:
        text = {"schema": {"type": "string"}}
        said["202"] = {
            "description": "A worker goes on with it; ask again at Location.",
            "content": {"application/json": {"schema": each.later}},
            "headers": {"Location": text, "Retry-After": text},
        }
    refusals = dict(REFUSALS)
    if each.takes is None and not each.lists and not each.writes and each.later is None:
        del refusals[422]
    if each.missing:
        refusals[404] = each.missing
    if each.writes:
        refusals[409] = "The same thing is going on already."
    if each.method == "DELETE":
        refusals[412] = "It is not what If-Match says it is."
    said |= {
        str(status): {"description": words, "content": {"application/json": {"schema": ref("Errors")}}}
        for status, words in sorted(refusals.items())
    }
    return said
