"""The JSON Schema of mapping files, for editors; generated from the same classes that read the files."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from gateway.mapping.schema import MappingFile


def json_schema_text() -> str:
    """The schema as it is checked in."""
    schema = TypeAdapter(MappingFile).json_schema(by_alias=True)
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A mapping file", **schema}
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"
