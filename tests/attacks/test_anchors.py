"""The attack: the database's owner takes a member's last movements away with all that they wrote,
so that every row and every digest that is left is right. What was noted outside names it.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition import crowd
from tests.coalition.crowd import START, TELECOM, asked, earn
from tests.owner import owner

from coalition.clearing.service import close_due
from coalition.ledger.post import Ledger
from coalition.sealing.anchors import AnchorError, move_marks_on, write_anchor
from coalition.sealing.digests import seal_key
from coalition.sealing.key import key_of
from coalition.verify.anchored import Anchored, compare, read_anchors

# Member 2's second earn, posting 3 with lot 4, and all that names it.
TAKEN_AWAY = (
    "delete from posting where member_id = 2 and posting_no = 3",
    "delete from lot where member_id = 2 and lot_no = 4",
    "update account set available = 10, last_no = 2, digest = (select digest from posting"
    " where member_id = 2) where member_id = 2",
)


class Place:
    """A ledger of four earns, two of each of two members, and a folder for anchors."""

    def __init__(self, engine: AsyncEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.ledger = Ledger(engine)
        self.at = START

    async def earn(self, member_id: int, points: int) -> None:
        await self.ledger.post([asked(earn(member_id, points), TELECOM)])

    async def anchor_once(self) -> bool:
        async with self.engine.begin() as connection:
            key = key_of(connection)
            return await write_anchor(connection, self.folder, key, self.at) is not None

    async def anchor(self) -> None:
        """Anchor all that there is. What other tests on this server have not committed yet holds
        anchors up, as it does in operation."""
        self.at += timedelta(minutes=1)
        newest = await crowd.value(self.engine, "select max(mark) from posting")

        async def is_settled() -> bool:
            return await crowd.value(self.engine, "select mark_settled()") > newest

        await crowd.until(is_settled, "all that was posted is there for good")
        assert await self.anchor_once()

    async def compared(self) -> Anchored:
        anchors = read_anchors(self.folder, key_of(self.engine))
        async with self.engine.connect() as connection:
            return await compare(connection, anchors)

    def lines(self) -> list[str]:
        (path,) = self.folder.iterdir()
        return path.read_text().splitlines()

    def write(self, *lines: str) -> None:
        (path,) = self.folder.iterdir()
        path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
async def place(engine: AsyncEngine, tmp_path: Path) -> Place:
    await crowd.found(engine, members=3)
    place = Place(engine, tmp_path / "anchors")
    await place.ledger.start()
    for member_id in (1, 2):
        await place.earn(member_id, 10)
        await place.earn(member_id, 10)
    return place


async def test_what_no_anchor_counts_yet_is_said_to_be_unprotected(place: Place) -> None:
    assert await place.compared() == Anchored([], None, 4)
    await place.anchor()
    await place.earn(3, 10)
    found = await place.compared()
    assert (found.false, found.unprotected) == ([], 1)
    assert found.last is not None
    assert (found.last.at, found.last.count) == (START + timedelta(minutes=1), 4)


async def test_a_minute_in_which_nothing_happened_writes_no_line(place: Place) -> None:
    await place.anchor()
    assert not await place.anchor_once()
    assert len(place.lines()) == 1


async def test_the_last_movements_of_a_member_cannot_be_taken_away_unseen(place: Place) -> None:
    await place.anchor()
    await place.earn(3, 10)
    await place.anchor()
    await crowd.change(place.engine, *TAKEN_AWAY)
    # No row that is left tells of it.
    await crowd.assert_sound(place.engine)
    found = await place.compared()
    assert found.false == [
        "the anchor of 2017-01-10 12:01:00Z counted 4 movements since the one before: 3 are there"
    ]


async def test_no_other_movement_makes_up_for_one_that_was_taken_away(place: Place) -> None:
    await place.anchor()
    await place.earn(3, 10)
    await crowd.change(
        place.engine,
        *TAKEN_AWAY,
        "update posting set mark = (select min(mark) from posting) where member_id = 3",
    )
    found = await place.compared()
    assert found.false == [
        "the anchor of 2017-01-10 12:01:00Z counted 4 movements since the one before: they are not"
        " the same"
    ]


async def test_a_movement_that_was_invented_into_the_past_is_one_too_many(place: Place) -> None:
    await place.anchor()
    await place.earn(3, 10)
    await crowd.change(
        place.engine,
        "update posting set mark = (select min(mark) from posting) where member_id = 3",
    )
    assert "4 movements since the one before: 5 are there" in (await place.compared()).false[0]


async def test_no_movement_is_invented_as_one_of_before_there_were_digests(place: Place) -> None:
    await place.anchor()
    await place.earn(3, 1_000)
    await crowd.change(
        place.engine,
        "update posting set digest = null, mark = null where member_id = 3",
        "update account set digest = null where member_id = 3",
        "update sealing set begins_at = '2017-02-01Z'",
    )
    # No row tells of it, and `coalition seal` would make it good.
    await crowd.assert_sound(place.engine)
    # Nor does an anchor of later that knows no better.
    for _ in range(2):
        assert (await place.compared()).false == [
            "the anchor of 2017-01-10 12:01:00Z: digests are since -infinity by it, and since "
            "2017-02-01 00:00:00+00 by the database",
            "posting 1 of member 3 has no digest, and all had one by the anchor of "
            "2017-01-10 12:01:00Z",
        ]
        await place.anchor_once()


async def test_a_transaction_that_commits_late_is_counted_by_a_later_anchor(place: Place) -> None:
    await place.anchor()
    async with place.engine.connect() as slow:
        # It has its number, and commits after the anchor of this minute.
        await slow.execute(text("select pg_current_xact_id()"))
        await place.earn(3, 10)
        assert not await place.anchor_once()
        assert (await place.compared()).false == []
        assert (await place.compared()).unprotected == 1
        await slow.commit()
    await place.anchor()
    found = await place.compared()
    assert (found.false, found.unprotected) == ([], 0)


async def test_a_window_that_was_closed_cannot_be_taken_back(place: Place) -> None:
    await close_due(place.engine, START + timedelta(days=30))
    await place.anchor()
    await crowd.change(
        place.engine, "update settlement_window set digest = null where window_id = 1"
    )
    assert "window 2017-01 had the digest" in (await place.compared()).false[0]


@pytest.mark.parametrize("table", ["price", "terms"])
async def test_the_last_price_and_terms_cannot_be_taken_away(place: Place, table: str) -> None:
    await place.anchor()
    await crowd.change(
        place.engine,
        "delete from window_terms",
        f"delete from {table} where {table}_no = (select max({table}_no) from {table})",
    )
    assert f"a row of {table}, with the digest" in (await place.compared()).false[0]


async def test_no_line_is_changed_left_out_or_made_up(place: Place) -> None:
    await place.anchor()
    for _ in range(2):
        await place.earn(3, 10)
        await place.anchor()
    first, second, third = place.lines()
    for lines in (
        (first, second.replace('"count":5', '"count":4'), third),
        (first, third),
        (second, third),
        (first, second, third, third.replace('"count":6', '"count":7')),
    ):
        place.write(*lines)
        assert "is not as it was written" in (await place.compared()).false[0], lines
    place.write(first, second, third)
    assert (await place.compared()).false == []


async def test_a_line_that_a_crash_tore_is_passed_over(place: Place) -> None:
    await place.anchor()
    (first,) = place.lines()
    await place.earn(3, 10)
    (path,) = place.folder.iterdir()
    path.write_text(first + "\n" + first[:50])
    await place.anchor()
    found = await place.compared()
    assert (found.false, found.unprotected) == ([], 0)


async def test_nothing_is_anchored_under_another_pepper(place: Place) -> None:
    await place.anchor()
    async with place.engine.begin() as connection:
        with pytest.raises(AnchorError, match="not written under this pepper"):
            await write_anchor(connection, place.folder, seal_key(b"another"), place.at)


async def test_a_database_that_counts_from_before_the_last_anchor_is_not_anchored(
    place: Place,
) -> None:
    await crowd.change(place.engine, "update sealing set mark_offset = 1000000")
    await place.anchor()
    await crowd.change(place.engine, "update sealing set mark_offset = 0")
    with pytest.raises(AnchorError, match="run coalition seal"):
        await place.anchor_once()
    assert "has not come to" in (await place.compared()).false[0]


async def test_what_is_posted_and_anchored_while_verify_runs_is_no_false_alarm(
    place: Place,
) -> None:
    await place.anchor()
    anchors = read_anchors(place.folder, key_of(place.engine))
    async with place.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        await connection.execute(text("select count(*) from posting"))
        await place.earn(3, 10)
        await place.anchor()
        found = await compare(connection, anchors)
    assert (found.false, found.unprotected) == ([], 0)


async def test_marks_go_on_behind_all_that_were_given_where_a_dump_was_restored(
    place: Place,
) -> None:
    # The server that the dump was of had given many more numbers than this one.
    await crowd.change(place.engine, "update sealing set mark_offset = 1000000")
    await place.earn(3, 10)
    await place.anchor()
    await crowd.change(place.engine, "update sealing set mark_offset = 0")
    async with owner(place.engine).begin() as connection:
        assert await move_marks_on(connection, place.folder)
    async with owner(place.engine).begin() as connection:
        assert not await move_marks_on(connection, place.folder)
    await place.earn(3, 10)
    await place.anchor()
    found = await place.compared()
    assert (found.false, found.unprotected) == ([], 0)
    await crowd.assert_sound(place.engine)
