"""A programme that runs since 1997 moves in: members, movements, windows, and time between them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.coalition.importing.programme import (
    NOW,
    burn,
    card,
    earn,
    found,
    imported,
    member,
    movement,
    played,
    rows_of,
    write,
)
from tests.world import RING

from coalition import jobs
from coalition.clearing.service import close_due
from coalition.errors import CoalitionError, Code
from coalition.importing.importer import Importer, importing
from coalition.importing.store import Progress, record
from coalition.ledger.commands import Done, Earn, EarnAnswer, Outcome, Refused, Request
from coalition.ledger.post import Ledger
from coalition.members.personal import Enrolment
from coalition.members.store import find_member
from coalition.privacy.store import find
from coalition.verify import verify

MUSIC = 3
POSTINGS = """
select kind::text, change, to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'), w.label,
       imported
from posting p join settlement_window w using (window_id) join card c using (member_id)
order by c.card_number, posting_no
"""


@pytest.fixture
async def founded(engine: AsyncEngine) -> AsyncEngine:
    await found(engine)
    return engine


async def _is_sound(engine: AsyncEngine) -> bool:
    async with engine.connect() as connection:
        return await verify(connection) == []


async def _earn_live(engine: AsyncEngine, at: datetime, number: int = 1) -> Outcome:
    ledger = Ledger(engine)
    await ledger.start()
    command = Earn(int(card(number)), at, points=5)
    [outcome] = await ledger.post([Request(command, MUSIC, at, UUID(int=number))])
    return outcome


async def test_time_passes_as_the_rows_say_and_everything_falls_into_its_own_window(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    rows = [
        member(1),
        earn("e1", "1997-01-10T12", 100),
        burn("b1", "1997-02-03T12", 30),
        movement("reverse_burn", "r1", "1997-03-04T12", merchant="books", burn_key="b1", points=10),
        earn("e2", "1997-07-01T12", 7),
        movement("reverse_earn", "r2", "1997-07-02T12", earn_key="e2"),
    ]
    told = await imported(founded, write(tmp_path / "history.ndjson", rows))
    assert told.refused() == {}
    assert await rows_of(founded, POSTINGS) == [
        ("earn", 100, "1997-01-10 12:00", "1997-01", True),
        ("burn", -30, "1997-02-03 12:00", "1997-02", True),
        ("reverse_burn", 10, "1997-03-04 12:00", "1997-03", True),
        # A hundred days and the rest of the last one, whether or not anybody came that day.
        ("expire", -80, "1997-04-21 00:00", "1997-04", True),
        ("earn", 7, "1997-07-01 12:00", "1997-07", True),
        ("reverse_earn", -7, "1997-07-02 12:00", "1997-07", True),
    ]
    windows = "select label, netted_at is not null from settlement_window order by window_id"
    labels = [f"1997-{month:02}" for month in range(1, 8)]
    assert await rows_of(founded, windows) == [(label, label != "1997-07") for label in labels]
    assert await _is_sound(founded)


async def test_a_hold_nobody_captured_ends_at_its_own_time(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    rows = [
        member(1),
        member(2, external_ref="two"),
        earn("e1", "1997-01-10T12", 100),
        burn("b1", "1997-01-11T12", 30, hold=True, hold_seconds=3_600),
        earn("e2", "1997-01-20T12", 1, number=2),
    ]
    await imported(founded, write(tmp_path / "history.ndjson", rows))
    voids = [row for row in await rows_of(founded, POSTINGS) if row[0] == "void"]
    assert voids == [("void", 30, "1997-01-11 13:00", "1997-01", True)]


async def test_a_row_older_than_the_clock_is_refused_with_its_line(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    rows = [member(1), earn("e1", "1997-03-10T12", 100), earn("e2", "1997-03-10T11", 5)]
    told = await imported(founded, write(tmp_path / "history.ndjson", rows))
    assert list(told.refused()) == [3]
    assert "older than the clock, which stands at 1997-03-10T12:00:00" in told.refused()[3]
    # The clock goes on from file to file, and what was posted replays.
    more = [rows[1], earn("e3", "1997-03-10T11", 1), earn("e4", "1997-03-10T12", 1)]
    again = await imported(founded, write(tmp_path / "more.ndjson", more))
    assert again.statuses() == ["replayed", "refused", "posted"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (member(1) | {"card": "9000000000000002"}, "check digit (Luhn)"),
        (member(1) | {"enrolled_at": "2030-01-01T00:00:00Z"}, "enrolled_at: 2030"),
        (earn("e", "1997-01-10T12", 1) | {"merchant": "nobody"}, "no merchant is called 'nobody'"),
        ({"op": "earn", "key": "e", "card": card(1), "points": 1}, "merchant: it is missing"),
        (earn("e", "2030-01-10T12", 1), "in the future"),
        (earn("e", "1996-12-31T12", 1), "older than the clock"),
        (
            {"op": "earn", "merchant": "music", "key": "e", "card": card(1), "points": 1},
            "occurred_at: every row",
        ),
        (movement("reverse_earn", "r", "1997-01-10T12", earn_key="none"), "earn_key: no row"),
        (movement("reverse_earn", "r", "1997-01-10T12", earn_key="a", earn_id="b"), "one of the"),
        (movement("steal", "r", "1997-01-10T12"), "op"),
        (earn("e", "1997-01-10T12", 1, colour="red"), "colour"),
    ],
)
async def test_a_wrong_row_is_refused_and_says_why(
    founded: AsyncEngine, tmp_path: Path, row: dict[str, object], says: str
) -> None:
    told = await imported(founded, write(tmp_path / "history.ndjson", [row, member(1)]))
    assert told.statuses() == ["refused", "posted"]
    assert says in told.refused()[1]


async def test_history_is_as_old_as_it_likes_but_no_older_than_its_card(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    issued = {"enrolled_at": "1997-02-01T00:00:00Z"}
    rows = [member(1, **issued), earn("e1", "1997-01-31T12", 5), earn("e2", "1997-02-01T00", 5)]
    told = await imported(founded, write(tmp_path / "history.ndjson", rows))
    assert told.statuses() == ["posted", "refused", "posted"]
    assert "is before the card was issued" in told.refused()[2]


async def test_members_keep_their_cards_and_a_card_or_a_reference_names_one_member(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    rows = [
        member(1, external_ref="c-1", phone="+1 555 0100", birthday="1970-02-03", locale="en-US"),
        member(2, external_ref="c-2"),
        member(1, external_ref="c-1"),
        member(1, external_ref="c-9"),
        member(3, external_ref="c-2"),
        member(3, external_ref="c-2", merchant="books"),
        member(4),
        member(5),
    ]
    told = await imported(founded, write(tmp_path / "members.ndjson", rows))
    assert told.statuses() == [
        *("posted", "posted", "replayed", "refused", "refused"),
        *("posted", "posted", "posted"),
    ]
    assert "belongs to another member" in told.refused()[4]
    assert "names another member of this merchant" in told.refused()[5]
    async with founded.connect() as connection:
        first = await find_member(connection, int(card(1)))
        assert first is not None
        person = await find(connection, first, RING)
    assert person is not None
    assert person.known == Enrolment("c-1", "+15550100", date(1970, 2, 3), "en-US")
    again = await imported(founded, write(tmp_path / "again.ndjson", rows[:2]))
    assert again.statuses() == ["replayed", "replayed"]


async def test_a_csv_file_says_the_same_as_one_of_json(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "history.csv"
    path.write_text(
        "op,merchant,key,card,points,occurred_at,earn_key,enrolled_at,external_ref\n"
        f"member,music,,{card(1)},,,,1997-01-01T09:00:00Z,c-1\n"
        f"earn,music,e1,{card(1)},100,1997-01-10T12:00:00Z,,,\n"
        "\n"
        "reverse_earn,music,r1,,40,1997-01-12T12:00:00Z,e1,,\n"
        f"earn,music,e2,{card(1)},many,1997-01-12T12:00:00Z,,,\n"
    )
    told = await imported(founded, path)
    assert [(one["line"], one["status"]) for one in told.results] == [
        (2, "posted"), (3, "posted"), (5, "posted"), (6, "refused"),
    ]  # fmt: skip
    assert await rows_of(founded, "select available from account") == [(60,)]


async def test_a_file_broken_off_anywhere_goes_on_and_comes_to_the_same(
    founded: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coalition.importing.files.GROUP_ROWS", 3)
    rows = [member(number) for number in (1, 2, 3)]
    left = {1: 0, 2: 0, 3: 0}
    refused: list[int] = []
    for day in range(1, 25):
        at, number, points = f"1997-{1 + day // 8:02}-{1 + day % 8:02}T12", 1 + day % 3, 3 + day
        rows += [earn(f"e{day}", at, 10, number), burn(f"b{day}", at, points, number)]
        left[number] += 10
        if points > left[number]:
            refused.append(len(rows))
        else:
            left[number] -= points
    assert len(refused) > 3
    path, results = write(tmp_path / "history.ndjson", rows), tmp_path / "results.ndjson"
    for groups in (1, 2, 3, 1):
        with monkeypatch.context() as patched:
            # Its last group is posted, and nobody knows.
            patched.setattr("coalition.importing.play.store.record", _breaking_after(groups))
            async with played(founded, path, results) as play:
                with pytest.raises(ConnectionError):
                    await play.run()
    told = await imported(founded, path, results)
    assert list(told.refused()) == refused
    assert [one["line"] for one in told.results] == list(range(1, len(rows) + 1))
    assert "replayed" in told.statuses()
    balances = await rows_of(
        founded,
        "select available from account join card using (member_id) order by card_number",
    )
    assert [points for (points,) in balances] == list(left.values())
    assert await _is_sound(founded)


def _breaking_after(groups: int) -> Callable[[AsyncConnection, Progress], Awaitable[None]]:
    recorded = 0

    async def record_or_break(connection: AsyncConnection, progress: Progress) -> None:
        nonlocal recorded
        recorded += 1
        if recorded > groups:
            raise ConnectionError
        await record(connection, progress)

    return record_or_break


async def test_the_first_live_posting_goes_on_from_there_and_ends_all_imports(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    rows = [member(1), member(2, external_ref="two"), earn("e1", "1997-01-10T12", 100)]
    path = write(tmp_path / "history.ndjson", rows)
    await imported(founded, path)
    # The jobs leave what is imported alone, whatever day it is.
    ledger = Ledger(founded)
    await ledger.start()
    for job in ("_close", "_expire", "_void"):
        await getattr(jobs, job)(ledger)
    assert await rows_of(founded, "select count(*) from settlement_window") == [(1,)]
    assert await rows_of(founded, "select max(available) from account") == [(100,)]
    live = datetime(1997, 6, 5, 12, tzinfo=UTC)
    assert isinstance(await _earn_live(founded, live, number=2), Done)
    assert (await rows_of(founded, POSTINGS))[1][3:] == ("1997-06", False)
    assert await close_due(founded, live) == [f"1997-{month:02}" for month in range(1, 6)]
    outcome = await _earn_live(founded, live + timedelta(days=1), number=1)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.answer, EarnAnswer)
    assert outcome.answer.available == 5, "what lapsed since lapses when somebody comes"
    with pytest.raises(CoalitionError, match=r"has begun.* 1997-06-05") as refused:
        await imported(founded, path)
    assert refused.value.code == Code.INVALID
    assert await _is_sound(founded)


async def test_nothing_is_posted_live_while_history_comes_in_and_no_two_imports_run(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    await imported(founded, write(tmp_path / "history.ndjson", [member(1)]))
    async with importing(founded, RING):
        outcome = await _earn_live(founded, NOW)
        assert isinstance(outcome, Refused)
        assert outcome.code == Code.BUSY
        with pytest.raises(CoalitionError, match="another import is under way"):
            async with importing(founded, RING):
                pass
    assert isinstance(await _earn_live(founded, NOW), Done)


async def test_the_database_itself_refuses_history_after_the_first_live_posting(
    founded: AsyncEngine, tmp_path: Path
) -> None:
    await imported(founded, write(tmp_path / "history.ndjson", [member(1)]))
    assert isinstance(await _earn_live(founded, NOW), Done)
    late = Ledger(founded, imports=True)
    await late.start()
    command = Earn(int(card(1)), NOW, points=5)
    [outcome] = await Importer(late, RING).post([Request(command, MUSIC, NOW, UUID(int=9))])
    assert isinstance(outcome, Refused)
    assert await rows_of(founded, "select count(*) from posting where imported") == [(0,)]
