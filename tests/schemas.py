"""Validation of what commands print for machines."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DOCS = Path(__file__).parents[1] / "docs"


def validate(content: Any, schema: str) -> None:
    """Raise unless the content, written as JSON, is as a schema in docs/ says."""
    _validator(schema).validate(json.loads(json.dumps(content)))


@cache
def _validator(schema: str) -> Draft202012Validator:
    document = json.loads((DOCS / schema).read_text())
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)
