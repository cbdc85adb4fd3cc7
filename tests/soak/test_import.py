"""Eighteen months of real purchases move in by `coalition import`, and come to what they must."""

import ast
import asyncio
import json
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
from tests.coalition.commands.terminal import typing
from tests.soak import audit, cdnow

SHOP = """
name = "{shop}"
currency = "USD"
time_zone = "America/New_York"
joined_on = 1997-01-01

[[earning.rates]]
category = "*"
points = "{points}"
per = "1.00"

[validity]
days = {days}

[[prices]]
effective_from = 1997-01-01
issue_price = "{issue}"
burn_price = "{price}"

[settlement]
breakage = "{breakage}"
"""
HOUSE = """
name = "The house"
currency = "USD"
time_zone = "America/New_York"

[calendar]
windows = "FREQ=MONTHLY;BYMONTHDAY=1"
first_window_on = 1997-01-01
"""
SHOPS = (
    ("music", "1", 90, "0", "0.0075", "pool"),
    ("video", "1.5", 60, "0", "0.0049", "issuer"),
    ("books", "2", 365, "0.002", "0.0101", "issuer"),
)


def test_the_audit_shares_no_code_with_the_program() -> None:
    for module in (audit, cdnow):
        assert module.__file__ is not None
        for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"coalition", "settlement"}


@pytest.mark.soak
def test_years_of_purchases_are_imported_and_audited_from_the_tables(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "merchants"
    folder.mkdir()
    (folder / "house.toml").write_text(HOUSE)
    for shop, points, days, issue, price, breakage in SHOPS:
        terms = {"points": points, "days": days, "issue": issue, "price": price}
        text = SHOP.format(shop=shop, breakage=breakage, **terms)
        (folder / f"{shop}.toml").write_text(text)
    happened = cdnow.events()
    cdnow.write(tmp_path / "cdnow.ndjson", happened)
    terminal = typing(database_url)
    terminal("merchants", "sync", folder)
    # Some buy for less than a point, and some have not the points that they would burn.
    terminal("import", tmp_path / "cdnow.ndjson", leaves_with=1)
    refused = {
        result["key"]
        for line in (tmp_path / "cdnow.ndjson.results.ndjson").open()
        if (result := json.loads(line))["status"] == "refused"
    }
    books = audit.worked_out(happened)
    assert refused == books.refused
    kinds = Counter(leg[3] for leg in books.legs)
    assert min(kinds["redemption"], kinds["expiry"], kinds["clawback"]) > 0
    assert any(points < 0 for _, _, _, _, points, _, _ in books.legs)

    async def audited() -> list[str]:
        connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
        try:
            return await audit.differences(connection, happened)
        finally:
            await connection.close()

    assert asyncio.run(audited()) == []
    assert terminal("verify").exit_code == 0
