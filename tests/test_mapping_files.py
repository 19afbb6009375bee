"""The shipped mapping files, their schema and their documentation hold together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from gateway.mapping.coverage import coverage
from gateway.mapping.json_schema import json_schema_text
from gateway.mapping.loader import load
from gateway.mapping.source import read_source
from tests.support.servers import MAPPINGS, accounts

ROOT = MAPPINGS.parent
#: The parameter table of the wire page.
DOCUMENTED = {
    "user",
    "sign",
    "from",
    "phone",
    "txt",
    "sending_method",
    "image_id",
    "button_text",
    "button_link",
    "p_transaction_id",
    "charset",
    "dlr",
    "dlr_timeout",
    "expiry_txt",
    "delay",
    "hex",
    "pref",
    "udh",
    "group_id",
    "label",
}


def test_schema_json_is_what_the_code_says() -> None:
    assert (MAPPINGS / "schema.json").read_text() == json_schema_text(), "run `make schema`"


def test_every_documented_parameter_has_a_fate() -> None:
    plan = load([MAPPINGS, MAPPINGS / "demo"]).dialects["messagio"]
    rows = {row.parameter: row for row in coverage(plan)}
    assert set(rows) >= DOCUMENTED
    assert all(row.fate == "mapped" or row.why for row in rows.values())


def keys(schema: Any) -> set[str]:
    """Every key that a mapping file may have, by the schema."""
    if isinstance(schema, dict):
        own = set(schema.get("properties", {}))
        return own.union(*(keys(value) for value in schema.values()))
    return set().union(*(keys(each) for each in schema)) if isinstance(schema, list) else set()


def test_every_key_is_documented() -> None:
    page = (ROOT / "docs" / "mapping-files.md").read_text()
    named = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert keys(json.loads(json_schema_text())) - named == set()


def test_every_piece_of_the_page_is_from_the_shipped_files() -> None:
    """The page quotes the files; a quotation that is no longer there would teach what does not exist."""
    page = (ROOT / "docs" / "mapping-files.md").read_text()
    shipped = "\n".join(_squeezed(file.read_text()) for file in MAPPINGS.glob("**/*.yaml"))
    quotations = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(quotations) > 10
    for quotation in quotations:
        for piece in quotation.split("# …\n"):
            assert _squeezed(piece) in shipped, piece


def _squeezed(text: str) -> str:
    """Without indentation, comments and blank lines, which a quotation may leave out."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


def test_the_dialect_to_begin_from_is_one(tmp_path: Path) -> None:
    """Put beside the shipped upstream file, with a login in it, it is all that there is to do."""
    for file in (ROOT / "docs" / "letterbox.yaml", MAPPINGS / "smsbat.yaml"):
        (tmp_path / file.name).write_text(file.read_text())
    content = accounts("http://127.0.0.1:1")
    content["accounts"] = {"demo": {"smsbat": "main", "logins": {"letterbox": {"secrets": ["sesame"]}}}}
    (tmp_path / "accounts.yaml").write_text(json.dumps(content))
    assert [*load([tmp_path]).dialects] == ["letterbox"]


def test_the_example_accounts_are_complete(tmp_path: Path) -> None:
    example = (MAPPINGS / "accounts.example.yaml").read_text()
    for name in ("messagio.yaml", "messagio-media.yaml", "smsbat-compat.yaml", "smsby.yaml", "smsbat.yaml"):
        (tmp_path / name).write_text((MAPPINGS / name).read_text())
    (tmp_path / "accounts.yaml").write_text(example)
    plan = load(
        [tmp_path],
        {
            "SMSBAT_KEY": "k",
            "SHOP_MESSAGIO_SECRET": "s",
            "SHOP_COMPAT_SECRET": "s",
            "SHOP_SMSBY_TOKEN": "t",
            "SHOP_HOOK": "a-hook-of-sixteen-or-more",
        },
    )
    shop = plan.accounts.accounts["shop"]
    assert (shop.viber_type("ShopOrders"), shop.viber_type("Other")) == ("viber_trans", "viber_promo")
    assert read_source(MAPPINGS / "accounts.example.yaml").content["kind"] == "accounts"
