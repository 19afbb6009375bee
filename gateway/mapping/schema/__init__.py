"""What a mapping file may say. Each class documents the keys that an author writes; ``schema.json`` is made of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.mapping.schema.accounts import AccountsFile
from gateway.mapping.schema.dialect import DialectFile
from gateway.mapping.schema.upstream import UpstreamFile

MappingFile = Annotated[DialectFile | UpstreamFile | AccountsFile, Field(discriminator="kind")]
