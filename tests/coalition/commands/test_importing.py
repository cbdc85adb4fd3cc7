"""coalition import as somebody types it: what it says, and that kill -9 costs nothing."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import msgspec
import pytest
from tests.coalition.commands.terminal import Type, typing
from tests.coalition.crowd import until
from tests.coalition.importing.programme import Fields, burn, card, earn, member, write
from tests.world import PEPPER

MERCHANT = """
name = "{code}"
currency = "USD"
time_zone = "UTC"
joined_on = 1997-01-01

[earning]
outright = true

[[earning.rates]]
category = "*"
points = 1
per = "1.00"

[validity]
days = 40

[[prices]]
effective_from = 1997-01-01
burn_price = "0.01"
"""
HOUSE = """
name = "The house"
currency = "USD"
time_zone = "UTC"

[calendar]
windows = "FREQ=MONTHLY;BYMONTHDAY=1"
first_window_on = 1997-01-01
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "merchants"
    folder.mkdir()
    (folder / "house.toml").write_text(HOUSE)
    for code in ("music", "books"):
        (folder / f"{code}.toml").write_text(MERCHANT.format(code=code))
    return folder


@pytest.fixture
def terminal(database_url: str, files: Path) -> Type:
    """The merchants are synced, and nothing is posted."""
    terminal = typing(database_url)
    terminal("merchants", "sync", files)
    return terminal


def _year() -> list[Fields]:
    """Forty members who earn and burn on each of 120 days."""
    rows = [member(number, external_ref=f"c-{number}") for number in range(1, 41)]
    for day in range(120):
        at = f"1997-{1 + day // 28:02}-{1 + day % 28:02}T12"
        for number in range(1, 41):
            rows.append(earn(f"e-{day}-{number}", at, 1 + number, number))
            rows.append(burn(f"b-{day}-{number}", at, 7 + day % 40, number))
    return rows


def test_a_file_is_imported_and_told_row_by_row(terminal: Type, tmp_path: Path) -> None:
    rows = [member(1), earn("e1", "1997-01-10T12", 100), burn("b1", "1997-03-01T12", 500)]
    path = write(tmp_path / "history.ndjson", rows)
    told = terminal("import", path, leaves_with=1)
    assert "3 rows: 2 posted, 0 replayed, 1 refused." in told.stdout
    lines = (tmp_path / "history.ndjson.results.ndjson").read_bytes().splitlines()
    results = [msgspec.json.decode(line) for line in lines]
    assert [one["status"] for one in results] == ["posted", "posted", "refused"]
    assert results[2] | {"detail": ""} == {
        "line": 3, "key": "b1", "status": "refused", "code": "insufficient_points", "detail": "",
    }  # fmt: skip
    again = terminal("import", path, leaves_with=1)
    assert "was imported before" in again.stdout
    assert "2 posted" in again.stdout
    assert "closed" in terminal("windows", "list").stdout
    assert terminal("verify").exit_code == 0


def test_history_is_refused_once_something_is_posted_live(terminal: Type, tmp_path: Path) -> None:
    history = write(tmp_path / "history.ndjson", [member(1)])
    terminal("import", history)
    live = tmp_path / "live.ndjson"
    live.write_bytes(
        msgspec.json.encode({"op": "earn", "key": "l", "card": card(1), "points": 5}) + b"\n"
    )
    terminal("batch", live, "--merchant", "music")
    refused = terminal("import", history, leaves_with=1)
    assert "this coalition has begun" in refused.stderr
    assert "new database" in refused.stderr


@pytest.mark.parametrize(
    ("name", "content", "says", "leaves_with"),
    [
        ("history.xlsx", b"", "must end in .csv, .ndjson, .jsonl", 2),
        ("history.csv", b"op,key\n", "it has no column merchant", 1),
        ("history.csv", b"op,merchant,colour\n", "'colour' is no column", 1),
    ],
)
def test_a_file_that_is_none_says_what_would_be_right(
    terminal: Type, tmp_path: Path, name: str, content: bytes, says: str, leaves_with: int
) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in terminal("import", tmp_path / name, leaves_with=leaves_with).stderr


def test_without_merchants_it_says_to_sync_first(database_url: str, tmp_path: Path) -> None:
    path = write(tmp_path / "history.ndjson", [member(1)])
    assert "merchants sync" in typing(database_url)("import", path, leaves_with=1).stderr


def test_killed_it_goes_on_where_it_was_and_comes_to_the_same(
    terminal: Type, database_url: str, tmp_path: Path
) -> None:
    rows = _year()
    path = write(tmp_path / "history.ndjson", rows)
    killed = 0
    for bytes_ in (1, 200_000):
        killed += _killed_after(database_url, path, bytes_)
    told = terminal("import", path, leaves_with=1)
    if killed:
        assert "was imported before" not in told.stdout
    lines = (tmp_path / "history.ndjson.results.ndjson").read_bytes().splitlines()
    results = [msgspec.json.decode(line) for line in lines]
    assert [one["line"] for one in results] == list(range(1, len(rows) + 1))
    assert _refused(results) == _refused_by_hand(rows)
    assert terminal("verify").exit_code == 0


def _killed_after(database_url: str, path: Path, bytes_: int) -> bool:
    """Start an import, and kill it once so much of the file is recorded; False: it was done."""
    process = subprocess.Popen(
        [sys.executable, "-m", "coalition.cli", "import", str(path)],
        env=os.environ | {"DATABASE_URL": database_url, "COALITION_PEPPER": PEPPER},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    async def watch() -> None:
        connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
        asked = "select coalesce(max(read_to_bytes), 0) from import_file"

        async def is_there() -> bool:
            return process.poll() is not None or await connection.fetchval(asked) >= bytes_

        try:
            await until(is_there, f"{bytes_} bytes are imported")
        finally:
            await connection.close()

    asyncio.run(watch())
    was_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return was_running


def _refused(results: list[Fields]) -> list[str]:
    return [one["key"] for one in results if one["status"] == "refused"]


def _refused_by_hand(rows: list[Fields]) -> list[str]:
    """Keys of the burns for which there are not enough points, which live for forty days."""
    lots: dict[str, list[list[int]]] = {}
    refused = []
    for row in rows[40:]:
        day = int(row["key"].split("-")[1])
        month, in_month = divmod(day, 28)
        date = (0, 31, 59, 90, 120)[month] + in_month
        mine = [lot for lot in lots.setdefault(row["card"], []) if lot[0] + 40 >= date]
        if row["op"] == "earn":
            lots[row["card"]].append([date, row["points"]])
        elif sum(points for _, points in mine) < row["points"]:
            refused.append(row["key"])
        else:
            _take(mine, row["points"])
    return refused


def _take(lots: list[list[int]], points: int) -> None:
    for lot in lots:
        taken = min(lot[1], points)
        lot[1] -= taken
        points -= taken
