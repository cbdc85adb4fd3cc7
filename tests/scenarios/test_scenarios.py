"""Each table in this folder is played against a real database and has to come true, line by line.

The lines in moves.py and expect.py are all that a table can say. After a close, every line of the
window that moves money or redeems points has to be named, and so has every position that is not
zero. At the end no invariant may be broken.
"""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.scenarios import expect, moves
from tests.scenarios.play import Play
from tests.scenarios.table import TableError, read_table

LINES = (moves, expect)
TABLES = sorted(Path(__file__).parent.glob("*.scenario"))


async def play_table(path: Path, engine: AsyncEngine) -> None:
    play = Play(engine)
    for line in read_table(path):
        await play.line(line)
    play.finish_window()
    assert await play.world.breaches() == []


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
async def test_scenario_comes_true(path: Path, engine: AsyncEngine) -> None:
    await play_table(path, engine)


OPENING = "merchant telecom burn 0.010\nmerchant retail burn 0.008\nmember ann\n"


@pytest.mark.parametrize(
    ("table", "where", "why"),
    [
        ("earn ann telecom 100\nbalance ann 99", ":5:", "expected (99, 0, 0)"),
        ("earn ann telecom 100 pionts", ":4:", "it could read: earn NAME CODE POINTS"),
        ("capture h1", ":4:", "no line above is called 'h1'"),
        ("burn ann telecom 5", ":4:", "insufficient_points"),
        ("earn ann telecom 5\nrefused limit_reached: burn ann telecom 6", ":5:", "limit_reached"),
        (
            "earn ann telecom 9\nburn ann retail 9\nclose 2026-01\nday 2026-02-03",
            ":7:",
            "9 points at 0.01 0.09",
        ),
        ("earn ann telecom 9\nburn ann retail 9 = retail 9", ":5:", "[('telecom', 9)]"),
    ],
)
async def test_mistake_in_a_table_names_its_file_and_line(
    table: str, where: str, why: str, engine: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.scenario"
    path.write_text(OPENING + table, encoding="utf-8")
    with pytest.raises(TableError) as caught:
        await play_table(path, engine)
    assert f"wrong.scenario{where}" in str(caught.value)
    assert why in str(caught.value)
