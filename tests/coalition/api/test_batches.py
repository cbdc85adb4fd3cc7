"""Files over HTTP: every op, in order, replayed across both doors, hostile or broken, and whose."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from tests.coalition.api.conftest import Till, World
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code
from coalition.verify import verify

NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}


def ndjson(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def send(till: Till, content: bytes, headers: dict[str, str] = NDJSON) -> str:
    answer = await till.client.post(
        "/v1/batches",
        content=content,
        headers={"Authorization": f"Bearer {till.bearer}", **headers},
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "running"
    batch_id: str = answer.json()["batch_id"]
    return batch_id


async def finished(till: Till, batch_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            view = (await till.get(f"/v1/batches/{batch_id}")).json()
            if view["status"] != "running":
                return dict(view)
            await asyncio.sleep(0.02)


async def results(till: Till, batch_id: str) -> list[dict[str, Any]]:
    answer = await till.get(f"/v1/batches/{batch_id}/results")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def done(
    till: Till, content: bytes, headers: dict[str, str] = NDJSON
) -> list[dict[str, Any]]:
    """The results of a file that is done, with its counts checked against them."""
    batch_id = await send(till, content, headers)
    view = await finished(till, batch_id)
    assert view["status"] == "done", view
    found = await results(till, batch_id)
    assert [one["row"] for one in found] == list(range(1, len(found) + 1))
    assert view["rows"] == len(found)
    for status in ("posted", "replayed", "refused"):
        assert view[status] == sum(one["status"] == status for one in found)
    return found


async def assert_ledger_is_right(world: World) -> None:
    async with world.engine.connect() as connection:
        assert await verify(connection) == []


async def test_every_op_goes_by_file_and_answers_in_order(world: World) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    card = await telecom.enrol()
    earned, bought = await done(
        telecom,
        ndjson(
            {"op": "earn", "key": "e1", "card": card, "points": 500, "reference": "a"},
            {"op": "earn", "key": "e2", "card": card, "amount": 12_500, "currency": "CNY"},
        ),
    )
    assert (earned["status"], earned["points"], bought["points"]) == ("posted", 500, 125)
    burned, held = await done(
        retail,
        ndjson(
            {"op": "burn", "key": "b1", "card": card, "points": 300, "take": {"only": "telecom"}},
            {"op": "burn", "key": "b2", "card": card, "points": 25, "hold": True},
        ),
    )
    view = (await retail.get(f"/v1/burns/{burned['id']}")).json()
    assert (view["points"], view["legs"][0]["origin"]) == (300, "telecom")
    assert (await retail.get(f"/v1/burns/{held['id']}")).json()["status"] == "held"
    reversed_burn = await done(
        retail, ndjson({"op": "reverse_burn", "key": "r1", "burn_id": burned["id"], "points": 100})
    )
    reversed_earn = await done(
        telecom, ndjson({"op": "reverse_earn", "key": "r2", "earn_id": bought["id"]})
    )
    assert [one[0]["points"] for one in (reversed_burn, reversed_earn)] == [100, 125]
    assert (await telecom.get(f"/v1/cards/{card}")).json()["available"] == 275
    await assert_ledger_is_right(world)


async def test_a_burn_sees_the_earn_that_stands_before_it_in_the_file(world: World) -> None:
    till = world.till("telecom")
    cards = [await till.enrol() for _ in range(3)]
    rows = []
    for step in range(40):
        for card in cards:
            op = "earn" if step % 2 == 0 else "burn"
            rows.append({"op": op, "key": f"{op}-{step}-{card}", "card": card, "points": 7})
    found = await done(till, ndjson(*rows))
    assert {one["status"] for one in found} == {"posted"}
    await assert_ledger_is_right(world)


async def test_a_file_sent_again_is_replayed_row_by_row_and_changes_nothing(world: World) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    file = ndjson(
        *({"op": "earn", "key": f"e{n}", "card": card, "points": n} for n in range(1, 300))
    )
    first, before = await done(till, file), await world.rows()
    again = await done(till, file)
    assert {one["status"] for one in again} == {"replayed"}
    assert [one["id"] for one in again] == [one["id"] for one in first]
    assert [one["points"] for one in again] == list(range(1, 300))
    assert await world.rows() == before


async def test_a_row_and_a_request_under_one_key_are_one_posting(world: World) -> None:
    till = world.till("telecom")
    card = await world.old_card(days=20)
    body = {"card": card, "points": 50, "occurred_at": "2017-03-09T10:00:00+08:00"}
    over_http = (await till.post("/v1/earns", body, key="one")).json()
    (row,) = await done(till, ndjson({"op": "earn", "key": "one", **body}))
    assert (row["status"], row["id"]) == ("replayed", over_http["earn_id"])
    (row,) = await done(till, ndjson({"op": "burn", "key": "one", "card": card, "points": 20}))
    assert row["status"] == "posted", "the key's scope is the operation too"
    answer = await till.post("/v1/burns", {"card": card, "points": 20}, key="one")
    assert answer.headers["idempotent-replayed"] == "true"
    assert answer.json()["burn_id"] == row["id"]
    path = f"/v1/burns/{row['id']}/reverse"
    reversal = (await till.post(path, {"points": 5}, key="back")).json()
    (row,) = await done(
        till, ndjson({"op": "reverse_burn", "key": "back", "burn_id": row["id"], "points": 5})
    )
    assert (row["status"], row["points"]) == ("replayed", reversal["points"])
    (row,) = await done(till, ndjson({"op": "earn", "key": "one", "card": card, "points": 51}))
    assert (row["status"], row["code"]) == ("refused", Code.IDEMPOTENCY_KEY_REUSED)


async def test_two_rows_with_one_key_are_a_replay_or_refused_as_reused(world: World) -> None:
    till = world.till("telecom")
    card, other = await till.enrol(), await till.enrol()
    earn = {"op": "earn", "key": "twice", "card": card, "points": 10}
    found = await done(till, ndjson(earn, earn, {**earn, "points": 11}, {**earn, "card": other}))
    assert [one["status"] for one in found] == ["posted", "replayed", "refused", "refused"]
    assert {one["code"] for one in found[2:]} == {Code.IDEMPOTENCY_KEY_REUSED}
    assert (await till.get(f"/v1/cards/{card}")).json()["available"] == 10
    assert (await till.get(f"/v1/cards/{other}")).json()["available"] == 0


BAD_ROWS: list[tuple[bytes, Code, str]] = [
    (b'{"op": "earn", "key": "k"', Code.MALFORMED, "line 2"),
    (b"[]", Code.MALFORMED, "JSON object"),
    (b'{"op":"earn","key":"k","card":"CARD","points":1,"points":2}', Code.MALFORMED, "twice"),
    (b'{"op":"earn","key":"k","card":"CARD","poi\\u006ets":1,"points":2}', Code.MALFORMED, "twice"),
    (b'{"op":"earn","key":"k","card":"CARD","points":1,"reference":"\xff"}', Code.MALFORMED, "UTF"),
    (b'{"op":"earn","key":"k","card":"CARD","points":1,"reference":"\x00"}', Code.MALFORMED, ""),
    (b'{"op":"earn","key":"k","card":"CARD","points":1,"reference":"\\u0000"}', Code.INVALID, ""),
    (b'{"op":"earn","key":"k","card":"CARD","points":"100"}', Code.INVALID, "points"),
    (b'{"op":"earn","key":"k","card":"CARD","points":1.5}', Code.INVALID, "points"),
    (b'{"op":"earn","key":"k","card":"CARD","points":0}', Code.INVALID, "points"),
    (b'{"op":"earn","key":"k","card":"CARD","points":1' + b"0" * 30 + b"}", Code.INVALID, ""),
    (b'{"op":"earn","key":"k","card":"CARD","points":1,"tip":2}', Code.INVALID, "tip"),
    (b'{"op":"earn","key":"k","card":"CARD"}', Code.INVALID, "one of amount"),
    (b'{"op":"earn","key":"k","card":"CARD","amount":1,"currency":"USD"}', Code.INVALID, "CNY"),
    (b'{"op":"earn","key":"k","card":"9000000000000000","points":1}', Code.INVALID, "Luhn"),
    (b'{"op":"steal","key":"k"}', Code.INVALID, "steal"),
    (b'{"key":"k"}', Code.INVALID, "op"),
    (b'{"op":"earn","card":"CARD","points":1}', Code.IDEMPOTENCY_KEY_MISSING, "key"),
    (b'{"op":"earn","key":"a b","card":"CARD","points":1}', Code.IDEMPOTENCY_KEY_MISSING, ""),
    (b'{"op":"reverse_burn","key":"k","burn_id":"brn_1"}', Code.NOT_FOUND, "burn"),
    (b'{"op":"burn","key":"k","card":"CARD","points":9999}', Code.INSUFFICIENT_POINTS, ""),
    (b'{"op":"earn","key":"k","card":"CARD","amount":1}', Code.NOTHING_EARNED, ""),
    (b"{" * 60_000, Code.MALFORMED, "line 2"),
    (b'{"op":"earn","key":"k","pad":"' + b"x" * 65_536 + b'"}', Code.TOO_LARGE, "line 2"),
]


async def test_a_bad_row_is_refused_by_its_line_and_its_neighbours_are_posted(
    world: World,
) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    for number, (row, code, words) in enumerate(BAD_ROWS):
        first = {"op": "earn", "key": f"a{number}", "card": card, "points": 1}
        last = {"op": "earn", "key": f"z{number}", "card": card, "points": 1}
        file = ndjson(first) + row.replace(b"CARD", card.encode()) + b"\n" + ndjson(last)
        found = await done(till, file)
        assert [one["status"] for one in found] == ["posted", "refused", "posted"], (row, found)
        assert found[1]["code"] == code, (row[:80], found[1])
        assert words in found[1]["detail"], (row[:80], found[1])
        assert len(found[1]["detail"]) <= 200
    balance = (await till.get(f"/v1/cards/{card}")).json()["available"]
    assert balance == 2 * len(BAD_ROWS)
    await assert_ledger_is_right(world)


async def test_a_row_of_50_mb_is_refused_and_not_read_into_memory(world: World) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    row = {"op": "earn", "key": "a", "card": card, "points": 1}

    async def parts() -> Any:
        yield ndjson(row)
        for _ in range(800):
            yield b"x" * 65_536
        yield b"\n" + ndjson({**row, "key": "b"})

    answer = await till.client.post(
        "/v1/batches",
        content=parts(),
        headers={"Authorization": f"Bearer {till.bearer}", **NDJSON},
    )
    batch_id = answer.json()["batch_id"]
    assert (await finished(till, batch_id))["posted"] == 2
    found = await results(till, batch_id)
    assert [one.get("code") for one in found] == [None, Code.TOO_LARGE, None]


async def test_blank_lines_line_ends_and_a_byte_order_mark_do_no_harm(world: World) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    row = '{"op":"earn","key":"%s","card":"' + card + '","points":1}'
    file = f"\ufeff{row % 'a'}\r\n\n   \n{row % 'b'}".encode()
    assert [one["status"] for one in await done(till, file)] == ["posted", "posted"]
    assert await done(till, b"") == []
    assert await done(till, b"\n\n\n") == []
    found = await done(till, b"\n\nnonsense\n")
    assert "line 3" in found[0]["detail"]


async def test_a_csv_file_does_what_the_same_ndjson_does(world: World) -> None:
    till = world.till("telecom")
    card = await world.old_card(days=20)
    rows: list[dict[str, Any]] = [
        {"op": "earn", "key": "1", "card": card, "points": 500, "reference": 'a, "b"'},
        {"op": "earn", "key": "2", "card": card, "amount": 9_900, "currency": "CNY"},
        {
            "op": "earn",
            "key": "3",
            "card": card,
            "points": 5,
            "occurred_at": "2017-03-01T00:00:00Z",
        },
        {"op": "burn", "key": "4", "card": card, "points": 30, "take": "own_first"},
        {"op": "burn", "key": "5", "card": card, "points": 10**9},
        {"op": "earn", "key": "6", "card": card, "points": -5},
        {"op": "earn", "key": "", "card": card, "points": 5},
        {"op": "nothing", "key": "7"},
        {"op": "earn", "key": "8", "card": card, "points": 5, "earn_id": "ern_1"},
    ]
    columns = ["key", "op", "card", "amount", "currency", "points", "occurred_at", "reference"]
    columns += ["take", "earn_id"]

    def cell(value: object) -> str:
        spelt = str(value)
        return '"' + spelt.replace('"', '""') + '"' if '"' in spelt or "," in spelt else spelt

    lines = [",".join(cell(row.get(name, "")) for name in columns) for row in rows]
    file = "\r\n".join([",".join(columns), *lines]).encode()
    from_csv = await done(till, b"\xef\xbb\xbf" + file, {"Content-Type": "text/csv; charset=utf-8"})
    assert [one["status"] for one in from_csv] == ["posted"] * 4 + ["refused"] * 5
    from_json = await done(till, ndjson(*rows))
    assert [one["status"] for one in from_json] == ["replayed"] * 4 + ["refused"] * 5
    for csv_row, json_row in zip(from_csv, from_json, strict=True):
        for name in ("row", "id", "points", "code"):
            assert csv_row.get(name) == json_row.get(name)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
async def test_a_file_as_a_spreadsheet_writes_it_is_read(world: World, separator: str) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    rows = [
        ["op", "key", "card", "items", "points", "take", "hold"],
        ["earn", "a", card, '"[{""amount"": 600}, {""amount"": 400}]"', "", "", ""],
        [""] * 7,
        ["burn", "b", card, "", "4", '"{""mix"": {""telecom"": 4}}"', "TRUE"],
        ['""', *[""] * 6],
        [" "] * 9,
        ["burn", "c", card, "", "999", "own_first", ""],
    ]
    file = "\r\n".join(separator.join(row) for row in rows).encode()
    found = await done(till, file, CSV)
    assert [(one["status"], one["key"]) for one in found] == [
        ("posted", "a"),
        ("posted", "b"),
        ("refused", "c"),
    ]
    assert (await till.get(f"/v1/burns/{found[1]['id']}")).json()["status"] == "held"
    assert (await till.get(f"/v1/cards/{card}")).json()["available"] == 6


async def test_results_name_the_key_of_each_row_that_states_one(world: World) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    right = {"op": "earn", "key": "r-1", "card": card, "points": 1}
    wrong = {"op": "earn", "key": "r-2", "card": "9", "points": 1}
    file = ndjson(right, wrong, {**right, "key": "no key"}) + b"nonsense\n"
    assert [one.get("key") for one in await done(till, file)] == ["r-1", "r-2", None, None]


@pytest.mark.parametrize(
    ("headers", "file", "words"),
    [
        (CSV, "op,key\r\nearn,1\r\n".encode("utf-16"), "UTF-16"),
        (CSV, "op,key\nearn,1\n".encode("utf-16-be"), "save it as UTF-8"),
        (NDJSON, '{"op":"earn"}\n'.encode("utf-16"), "UTF-16"),
        (CSV, b"op,key,card\rearn,1,2\rearn,2,2\r", "carriage return alone"),
        (CSV, b"\xef\xbb\xbfop,key\r" + b"earn,1\r" * 20_000, "carriage return alone"),
    ],
)
async def test_a_file_that_is_no_utf_8_lines_is_told_what_it_is(
    world: World, tmp_path: Path, headers: dict[str, str], file: bytes, words: str
) -> None:
    answer = await world.till("telecom").send("/v1/batches", file, **headers)
    assert_problem(answer, Code.INVALID)
    assert words in answer.json()["detail"], answer.text
    assert spooled(tmp_path) == []


BAD_HEADERS = [
    (b"", "no column op"),
    (b"key,card\n", "no column op"),
    (b"op,card\n", "no column key"),
    (b"op,key,tip\n", "tip"),
    (b"op,key,op\n", "twice"),
    (b'{"op":"earn"}\n', "header"),
    (b'op,key,"card\n', "quoted"),
    (b"op,key\xff\n", "UTF-8"),
    (b"op,\0key\n", "NUL"),
    (b"x" * 70_000, "65536"),
]


@pytest.mark.parametrize(("header", "words"), BAD_HEADERS)
async def test_a_wrong_csv_header_refuses_the_whole_file(
    world: World, tmp_path: Path, header: bytes, words: str
) -> None:
    till = world.till("telecom")
    answer = await till.send("/v1/batches", header + b"earn,k,1\n" * bool(header), **CSV)
    assert_problem(answer, Code.INVALID)
    assert words in answer.json()["detail"], answer.text
    assert spooled(tmp_path) == []


async def test_bad_csv_rows_are_refused_one_by_one(world: World) -> None:
    till = world.till("telecom")
    card = await till.enrol()
    right = f"earn,%s,{card},5,"
    bad = [
        f'earn,k,{card},5,"no end',
        f"earn,k,{card},5,a,b",
        f"earn,k,{card},5,a\0",
        f"earn,k,{card},5.0,",
        f"earn,k,{card},+5,",
        f"earn,k,{card},05,",
        f"earn,k,{card},{'9' * 5_000},",
        f"earn,,{card},5,",
    ]
    lines = ["op,key,card,points,reference", right % "first", *bad, right % "last"]
    found = await done(till, "\n".join(lines).encode() + b"\n\xff,k\n", CSV)
    statuses = [one["status"] for one in found]
    assert statuses == ["posted", *["refused"] * len(bad), "posted", "refused"], found
    codes = [one["code"] for one in found if one["status"] == "refused"]
    malformed, invalid = Code.MALFORMED, Code.INVALID
    missing = Code.IDEMPOTENCY_KEY_MISSING
    assert codes == [malformed] * 3 + [invalid] * 4 + [missing, malformed]
    assert "line 3:" in found[1]["detail"]


def spooled(folder: Path) -> list[str]:
    kept = folder / "batches"
    return [path.name for path in kept.iterdir() if path.name != "place"] if kept.exists() else []


async def test_a_file_beyond_its_bounds_is_413_and_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = world.till("telecom")
    monkeypatch.setattr("coalition.batches.spool.FILE_BYTES_MAX", 1 << 20)
    monkeypatch.setattr("coalition.batches.spool.ROWS_MAX", 1_000)
    headers = {"Authorization": f"Bearer {till.bearer}", **NDJSON}

    async def parts(part: bytes) -> Any:
        for _ in range(40):
            yield part

    for content in (parts(b"x" * 32_768), parts(b"{}\n" * 30)):
        answer = await till.client.post("/v1/batches", content=content, headers=headers)
        assert_problem(answer, Code.TOO_LARGE)
    assert spooled(tmp_path) == []
    async with world.engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from batch")) == 0


async def test_what_is_no_plain_ndjson_or_csv_is_refused_before_it_is_read(world: World) -> None:
    till = world.till("telecom")
    for headers, code, words in (
        ({"Content-Type": "application/json"}, Code.INVALID, "Content-Type"),
        ({"Content-Type": ""}, Code.INVALID, "Content-Type"),
        ({**NDJSON, "Content-Encoding": "gzip"}, Code.MALFORMED, "Content-Encoding"),
    ):
        answer = await till.send("/v1/batches", b"\x1f\x8b", **headers)
        assert words in assert_problem(answer, code)["detail"]


async def test_who_asks_is_looked_at_before_the_file_is_read(world: World) -> None:
    async def never() -> Any:
        raise AssertionError("the body was read")
        yield b""

    async def refused(bearer: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/nonsense"}
        return await world.client.post("/v1/batches", content=never(), headers=headers)

    assert_problem(await refused("nobody"), Code.UNAUTHENTICATED)
    assert_problem(await refused(await world.key("telecom", "members")), Code.SCOPE_MISSING)


async def test_each_row_needs_the_scope_of_its_op(world: World) -> None:
    card = await world.till("telecom").enrol()
    earner = Till(world.client, await world.key("plain", "earn"))
    found = await done(
        earner,
        ndjson(
            {"op": "earn", "key": "1", "card": card, "amount": 500},
            {"op": "burn", "key": "2", "card": card, "points": 1},
            {"op": "reverse_burn", "key": "", "burn_id": "brn_1"},
            {"op": "reverse_earn", "key": "3", "earn_id": "ern_1"},
        ),
    )
    codes = [one.get("code") for one in found]
    assert codes == [None, Code.SCOPE_MISSING, Code.SCOPE_MISSING, Code.NOT_FOUND]


async def test_a_batch_is_its_merchants_and_not_there_for_others(world: World) -> None:
    telecom, retail, house = (world.till(code) for code in ("telecom", "retail", "house"))
    card = await telecom.enrol()
    row = {"op": "earn", "key": "1", "card": card, "points": 5}
    batch_id = await send(telecom, ndjson(row))
    await finished(telecom, batch_id)
    unknown = [f"bat_{'0' * 32}", f"bat_{batch_id[4:].upper()}", batch_id[4:], "bat_..%2fplace"]
    for end in ("", "/results"):
        details = set()
        for asked in (batch_id, *unknown):
            answer = await retail.get(f"/v1/batches/{asked}{end}")
            assert_problem(answer, Code.NOT_FOUND)
            details.add(answer.json()["detail"])
        assert len(details - {"nothing is served at this path"}) == 1
        assert (await house.get(f"/v1/batches/{batch_id}{end}")).status_code == 200
    (row_of_retail,) = await done(retail, ndjson(row))
    assert row_of_retail["status"] == "posted", "keys of two merchants are two keys"


async def test_so_many_files_may_wait_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = world.till("telecom")
    monkeypatch.setattr("coalition.batches.uploads.FILES_MAX", 0)
    answer = await till.send("/v1/batches", b"", **NDJSON)
    assert_problem(answer, Code.TOO_MANY_REQUESTS)
    assert int(answer.headers["retry-after"]) > 0


async def test_ten_thousand_wrong_rows_are_counted_and_answered_one_by_one(world: World) -> None:
    till = world.till("telecom")
    found = await done(till, b"{]\n" * 10_000)
    assert {one["code"] for one in found} == {Code.MALFORMED}
    assert "line 10000:" in found[-1]["detail"]
