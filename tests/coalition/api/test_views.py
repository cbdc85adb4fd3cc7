"""What a till reads: a card, its history, a burn past its hold, statements, and the operations."""

import io
import json
import re
from typing import Any

import msgspec
import openpyxl
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.coalition.api.conftest import HOUSE, TERMS, World
from tests.coalition.api.test_codes import assert_problem

from coalition.earning.validity import Validity
from coalition.errors import Code
from coalition.terms.store import sync


async def test_a_card_shows_what_is_there_what_is_held_and_what_expires(world: World) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    card = await world.old_card(days=60)
    await telecom.earn(card, 100)
    await retail.earn(card, 50, occurred_at="2017-02-10T12:00:00+08:00")
    await retail.burn(card, 30, take={"only": "telecom"}, hold=True)
    assert (await telecom.get(f"/v1/cards/{card}")).json() == {
        "card": card,
        "status": "active",
        "available": 120,
        "held": 30,
        "tier": None,
        "origins": [{"origin": "retail", "points": 50}, {"origin": "telecom", "points": 70}],
        "expiring": [{"on": "2019-02-10", "points": 50}, {"on": "2019-03-10", "points": 70}],
        "owed": [],
        "pending": 0,
        "pending_from": [],
    }


async def test_a_card_shows_what_is_pending_and_until_when(
    world: World, engine: AsyncEngine
) -> None:
    pending = [
        msgspec.structs.replace(one, validity=Validity(months=24, usable_after_days=14))
        if one.code == "retail"
        else one
        for one in TERMS
    ]
    async with engine.begin() as connection:
        await sync(connection, HOUSE, pending, world.clock.now)
    world.clock.pass_(days=1)
    retail = world.till("retail")
    card = await retail.enrol()
    earned = await retail.earn(card, 50)
    assert (earned["available"], earned["lots"][0]["active_from"]) == (0, "2017-03-25")
    lot = (await retail.get(f"/v1/lots/{earned['lots'][0]['lot_id']}")).json()
    assert lot["active_from"] == "2017-03-25"
    view = (await retail.get(f"/v1/cards/{card}")).json()
    assert (view["available"], view["pending"], view["origins"]) == (0, 50, [])
    assert view["pending_from"] == [{"on": "2017-03-25", "points": 50}]
    assert view["expiring"] == [{"on": "2019-03-11", "points": 50}]


async def test_a_new_card_has_nothing(world: World) -> None:
    telecom = world.till("telecom")
    card = (await telecom.get(f"/v1/cards/{await telecom.enrol()}")).json()
    assert (card["available"], card["held"], card["origins"], card["expiring"]) == (0, 0, [], [])


async def test_points_past_their_day_are_gone_before_the_job_comes_by(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    world.clock.now = world.clock.now.replace(year=2019, day=10, hour=15)
    assert (await telecom.get(f"/v1/cards/{card}")).json()["available"] == 100
    # 16:00 UTC is midnight in the house's time zone.
    world.clock.pass_(hours=1)
    view = (await telecom.get(f"/v1/cards/{card}")).json()
    assert (view["available"], view["origins"], view["expiring"]) == (0, [], [])


async def test_a_hold_past_its_time_is_void_by_itself(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    held = await telecom.burn(card, 40, hold=True, hold_seconds=60)
    path = f"/v1/burns/{held['burn_id']}"
    assert (held["status"], held["window"], held["available"]) == ("held", None, 60)
    world.clock.pass_(seconds=59)
    assert (await telecom.get(path)).json()["status"] == "held"
    world.clock.pass_(seconds=1)
    view = (await telecom.get(path)).json()
    assert (view["status"], view["returned"], view["legs"], view["window"]) == (
        "voided", 40, [], None,
    )  # fmt: skip
    card_view = (await telecom.get(f"/v1/cards/{card}")).json()
    assert (card_view["available"], card_view["held"]) == (100, 0)
    assert_problem(await telecom.post(f"{path}/capture"), Code.NOT_HELD)


async def test_a_hold_past_its_time_gives_lapsed_points_their_days_of_grace(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    world.clock.now = world.clock.now.replace(year=2019, hour=15, minute=30)
    held = await telecom.burn(card, 100, hold=True, hold_seconds=3_600)
    world.clock.pass_(hours=2)
    before = (await telecom.get(f"/v1/cards/{card}")).json()
    assert (before["available"], before["held"]) == (100, 0)
    assert before["expiring"] == [{"on": "2019-04-10", "points": 100}]
    # The next movement writes what was shown.
    assert_problem(await telecom.post(f"/v1/burns/{held['burn_id']}/void"), Code.NOT_HELD)
    await telecom.earn(card, 1)
    after = (await telecom.get(f"/v1/cards/{card}")).json()
    assert after["expiring"][0] == before["expiring"][0]


async def test_the_history_adds_up_to_what_is_available(world: World) -> None:
    telecom, retail, house = (world.till(code) for code in ("telecom", "retail", "house"))
    card, other = await telecom.enrol(), await telecom.enrol()
    earned = await telecom.earn(card, 1_000, reference="r-1")
    burned = await retail.burn(card, 300)
    await retail.post(f"/v1/burns/{burned['burn_id']}/reverse", {"points": 100})
    one = await retail.burn(card, 100, hold=True)
    await retail.post(f"/v1/burns/{one['burn_id']}/capture", {"points": 80})
    two = await retail.burn(card, 50, hold=True)
    await retail.post(f"/v1/burns/{two['burn_id']}/void")
    await telecom.post("/v1/transfers", {"from_card": card, "to_card": other, "points": 200})
    await telecom.post(f"/v1/earns/{earned['earn_id']}/reverse", {"points": 900})
    await telecom.earn(card, 600)

    for number in (card, other):
        lines = await _all_lines(house, f"/v1/cards/{number}/history", limit=3)
        available = (await house.get(f"/v1/cards/{number}")).json()["available"]
        assert sum(line["points"] for line in lines) == available
    assert [(line["type"], line["points"]) for line in await _all_lines(
        house, f"/v1/cards/{card}/history", limit=500)] == [
        ("earn", 220), ("reverse_earn", -520), ("transfer_out", -200), ("void", 50), ("hold", -50),
        ("capture", 20), ("hold", -100), ("reverse_burn", 100), ("burn", -300), ("earn", 1_000),
    ]  # fmt: skip


async def test_a_merchant_reads_what_the_house_did_to_its_own(world: World) -> None:
    telecom, retail, house = (world.till(code) for code in ("telecom", "retail", "house"))
    card = await telecom.enrol()
    await telecom.earn(card, 1_000)
    earned = await retail.earn(card, 500)
    burned = await telecom.burn(card, 300)
    held = [await telecom.burn(card, 100, hold=True) for _ in range(2)]
    await house.post(f"/v1/burns/{burned['burn_id']}/reverse", {"points": 200})
    await house.post(f"/v1/burns/{held[0]['burn_id']}/capture", {"points": 60})
    await house.post(f"/v1/burns/{held[1]['burn_id']}/void")
    await house.post(f"/v1/earns/{earned['earn_id']}/reverse", {"points": 50})
    lines = {
        till.bearer: await _all_lines(till, f"/v1/cards/{card}/history", limit=2)
        for till in (telecom, retail, house)
    }
    points = {bearer: sum(line["points"] for line in own) for bearer, own in lines.items()}
    available = (await house.get(f"/v1/cards/{card}")).json()["available"]
    assert points == {telecom.bearer: 840, retail.bearer: 450, house.bearer: available}
    assert {line["merchant"] for line in lines[telecom.bearer]} == {"telecom"}
    assert [line["type"] for line in lines[retail.bearer]] == ["reverse_earn", "earn"]


async def test_windows_come_newest_first_and_a_new_one_shifts_no_page(world: World) -> None:
    house = world.till("house")
    for month in ("2017-03", "2017-04", "2017-05"):
        world.clock.pass_(days=32)
        assert (await house.post(f"/v1/windows/{month}/close")).status_code == 200
    first = (await house.get("/v1/windows", limit=2)).json()
    assert first["items"][0]["status"] == "open"
    world.clock.pass_(days=32)
    assert (await house.post("/v1/windows/2017-06/close")).status_code == 200
    second = (await house.get("/v1/windows", limit=2, cursor=first["next_cursor"])).json()
    labels = [window["window"] for page in (first, second) for window in page["items"]]
    assert labels == ["2017-06", "2017-05", "2017-04", "2017-03"]
    assert second["next_cursor"] is None


async def _all_lines(till: Any, path: str, limit: int) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = (await till.get(path, limit=limit, **({"cursor": cursor} if cursor else {}))).json()
        assert len(page["items"]) <= limit
        lines += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return lines


async def test_a_line_of_the_history_names_what_it_is_about(world: World) -> None:
    telecom = world.till("telecom")
    card = await world.old_card(days=20)
    earned = await telecom.earn(card, 100, reference="r-1", occurred_at="2017-03-01T09:30:00+08:00")
    held = await telecom.burn(card, 10, hold=True)
    await telecom.post(f"/v1/burns/{held['burn_id']}/capture")
    captured, hold, earn = (await telecom.get(f"/v1/cards/{card}/history")).json()["items"]
    assert earn == {
        "type": "earn", "id": earned["earn_id"], "at": "2017-03-01T01:30:00Z",
        "merchant": "telecom", "points": 100, "reference": "r-1",
        "by": "key:" + telecom.bearer.split("_")[2],
    }  # fmt: skip
    assert hold["id"] == captured["id"] == held["burn_id"]


async def test_a_burn_shows_each_leg_with_its_window_also_when_it_went_back_later(
    world: World,
) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    held = await retail.burn(card, 60, hold=True)
    path = f"/v1/burns/{held['burn_id']}"
    [leg] = (await retail.get(path)).json()["history"]
    assert (leg["movement"], leg["points"], leg["window"]) == ("hold", 60, None)
    await retail.post(f"{path}/capture", {"points": 50})
    world.clock.pass_(days=30)
    assert (await world.till("house").post("/v1/windows/2017-03/close")).status_code == 200
    await retail.post(f"{path}/reverse")
    view = (await retail.get(path)).json()
    assert (view["points"], view["returned"], view["legs"]) == (50, 50, [])
    history = [
        (leg["movement"], leg["points"], leg["business_date"], leg["window"], leg["about"])
        for leg in view["history"]
    ]
    assert history == [
        ("hold", 60, "2017-03-10", "2017-03", None),
        ("capture", -10, "2017-03-10", "2017-03", None),
        ("reverse_burn", -50, "2017-03-10", "2017-04", "2017-03"),
    ]
    [line] = [
        line
        for line in (await retail.get("/v1/windows/2017-03/paths")).json()["items"]
        if line["redeemer"] == "retail"
    ]
    assert line["points"] == sum(points for _, points, _, at, _ in history if at == "2017-03")


async def test_enrolling_under_a_known_reference_answers_the_first_member(world: World) -> None:
    telecom, retail = world.till("telecom"), world.till("retail")
    first, again, elsewhere = [
        await till.post("/v1/members", {"external_ref": "customer-17"})
        for till in (telecom, telecom, retail)
    ]
    assert [answer.status_code for answer in (first, again, elsewhere)] == [201, 200, 201]
    assert first.json() == again.json() != elsewhere.json()


async def test_a_gift_says_which_lots_it_made_of_which(world: World) -> None:
    telecom = world.till("telecom")
    card, other = await telecom.enrol(), await telecom.enrol()
    earned = await telecom.earn(card, 100)
    body = {"from_card": card, "to_card": other, "points": 60}
    given = (await telecom.post("/v1/transfers", body)).json()
    [lot] = given["lots"]
    assert lot == {
        "lot_id": lot["lot_id"], "origin": "telecom", "points": 60, "expires_on": "2019-03-10",
        "from_lot": earned["lots"][0]["lot_id"],
    }  # fmt: skip
    made = (await telecom.get(f"/v1/lots/{lot['lot_id']}")).json()
    assert (made["kind"], made["points"]) == ("transfer", 60)
    assert made["earned_at"] == earned["occurred_at"]


async def test_a_lost_card_is_replaced_and_the_points_stay(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100)
    for _ in range(2):
        assert (await telecom.post(f"/v1/cards/{card}/block")).json()["status"] == "blocked"
    assert_problem(
        await telecom.post("/v1/burns", {"card": card, "points": 5}), Code.CARD_NOT_ACTIVE
    )
    answer = await telecom.post(f"/v1/cards/{card}/replace")
    assert answer.status_code == 201
    new = answer.json()["card"]
    assert (await telecom.burn(new, 30))["available"] == 70
    for action in ("replace", "block", "unblock"):
        assert_problem(await telecom.post(f"/v1/cards/{card}/{action}"), Code.CARD_NOT_ACTIVE)
    assert (await telecom.get(f"/v1/cards/{card}")).json()["status"] == "replaced"
    for _ in range(2):
        answer = await telecom.post(f"/v1/cards/{new}/unblock")
        assert (answer.status_code, answer.json()) == (200, {"card": new, "status": "active"})


async def test_a_statement_comes_in_every_format_and_never_changes(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    card = await telecom.enrol()
    await telecom.earn(card, 1_200)
    await world.till("retail").burn(card, 1_000)
    path = "/v1/windows/2017-03/statements/telecom"
    assert_problem(await telecom.get(path), Code.NOT_FOUND)
    dry = (await house.post("/v1/windows/2017-03/close", {"dry_run": True})).json()
    assert dry["dry_run"] is True
    assert_problem(await telecom.get(path), Code.NOT_FOUND)
    world.clock.pass_(days=30)
    closed = (await house.post("/v1/windows/2017-03/close")).json()
    assert closed == dry | {"dry_run": False}

    first = {suffix: await telecom.get(path + suffix) for suffix in ("", ".csv", ".xlsx")}
    await telecom.earn(card, 5)
    for suffix, answer in first.items():
        assert answer.status_code == 200, answer.text
        assert (await house.get(path + suffix)).content == answer.content
    assert first[""].headers["content-type"] == "application/json"
    assert first[""].json()["party"] == "telecom"
    assert first[".csv"].headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="2017-03-telecom.csv"' in first[".csv"].headers["content-disposition"]
    assert openpyxl.load_workbook(io.BytesIO(first[".xlsx"].content)).sheetnames
    with_mark = await telecom.get(path + ".csv", bom=True)
    assert with_mark.content == b"\xef\xbb\xbf" + first[".csv"].content
    assert (await telecom.get(path + ".csv", bom=False)).content == first[".csv"].content
    for suffix, bom in (("", True), (".xlsx", True), (".csv", "perhaps")):
        assert_problem(await telecom.get(path + suffix, bom=bom), Code.INVALID)
    for suffix in (".pdf", ".", ".csv.csv"):
        assert_problem(await telecom.get(path + suffix), Code.NOT_FOUND)


async def test_a_label_of_first_and_last_day_is_an_address_like_any_other(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    await telecom.earn(await telecom.enrol(), 1_200)
    for _ in range(2):
        label = (await house.get("/v1/windows")).json()["items"][0]["window"]
        closed = await house.post(f"/v1/windows/{label}/close", {"early": True})
        assert closed.json()["window"] == label
        world.clock.pass_(days=1)
    assert ".." in label
    assert (await house.get(f"/v1/windows/{label}/positions")).status_code == 200
    answer = await telecom.get(f"/v1/windows/{label}/statements/telecom.csv")
    assert answer.headers["content-disposition"].endswith(f'filename="{label}-telecom.csv"')
    for folder in ("..", "...", ".", "%2e%2e", "..%2f.."):
        assert (await house.get(f"/v1/windows/{folder}/positions")).status_code == 404


async def test_a_dry_run_may_try_other_prices(world: World) -> None:
    telecom, house = world.till("telecom"), world.till("house")
    card = await telecom.enrol()
    await telecom.earn(card, 1_200)
    await world.till("retail").burn(card, 1_000)
    before = await world.rows()
    body = {"dry_run": True, "prices": {"telecom->retail": {"burn_price": "0.02"}}}
    tried = (await house.post("/v1/windows/2017-03/close", body)).json()["positions"]
    assert {at["party"]: at["net"] for at in tried}["telecom"] == -2_000
    bad = {"dry_run": True, "prices": {"telecom->retail": {"burn_price": "1e-9"}}}
    assert_problem(await house.post("/v1/windows/2017-03/close", bad), Code.INVALID)
    assert await world.rows() == before


async def test_the_process_says_that_it_lives_that_it_is_ready_and_what_it_counts(
    world: World,
) -> None:
    telecom = world.till("telecom")
    await telecom.earn(await telecom.enrol(), 5)
    await world.client.get("/v1/windows")
    assert (await world.client.get("/healthz")).json() == {"status": "ok"}
    assert (await world.client.get("/readyz")).json() == {"status": "ready", "failing": None}
    for path in ("/healthz", "/readyz"):
        looked = await world.client.head(path)
        assert (looked.status_code, looked.content) == (200, b"")
    metrics = await world.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'coalition_posts_total{operation="earn",outcome="posted"} 1.0' in metrics.text
    assert 'coalition_problems_total{code="unauthenticated"} 1.0' in metrics.text
    assert "coalition_queued 0.0" in metrics.text


async def test_the_schema_is_openapi_with_examples_keys_and_problems(world: World) -> None:
    for path in ("/schema", "/schema/openapi.json"):
        answer = await world.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert (await world.client.get("/schema/openapi.yaml")).status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "cdn" not in json.dumps(document).lower()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            if not path.startswith("/v1/"):
                assert "security" not in operation, where
                continue
            for way in operation.get("security", ()):
                # A key by one scope each, a person by one right or, once signed in, by none.
                [(scheme, needed)] = way.items()
                assert scheme == "session" or len(needed) == 1, where
                assert len(needed) <= 1, where
            assert operation["description"], where
            assert "401" in operation["responses"], where
            assert list(operation["responses"]["422"]["content"]) == ["application/problem+json"]
            _assert_examples(document, operation, where)
            if method == "post":
                _assert_body_and_key(operation, path)
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Body"):
            assert schema["additionalProperties"] is False, name


async def test_the_schema_says_which_scope_an_operation_needs(world: World) -> None:
    document = (await world.client.get("/schema/openapi.json")).json()
    scopes = {
        path: [scope for one in item["get"]["security"] for scope in one.get("merchant_key", ())]
        for path, item in document["paths"].items()
        if path.startswith("/v1/") and "get" in item
    }
    assert scopes["/v1/burns/{burn_id}"] == ["burn"]
    assert scopes["/v1/lots/{lot_id}"] == ["earn", "burn"]
    assert scopes["/v1/windows"] == ["statements"]
    assert [path for path, needed in scopes.items() if not needed] == ["/v1/session"]


async def test_who_asks_for_html_gets_pages_that_load_nothing_from_elsewhere(world: World) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    front = await world.client.get("/", headers=browser)
    schema = await world.client.get("/schema", headers=browser)
    for answer in (front, schema):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.search(r"https?:|src=|<script|<link", answer.text)
        assert "openapi.json" in answer.text
        assert "openapi.yaml" in answer.text
    assert "POST /v1/burns/{burn_id}/capture" in schema.text
    assert "Scope: <code>earn</code> or <code>burn</code>" in schema.text
    assert 'href="/schema"' in front.text


# Whose bodies have a field that must be sent, and which move no points.
_BODY_NEEDED = {
    *("/v1/session", "/v1/session/password", "/v1/setup", "/v1/setup/finish"),
    *("/v1/people", "/v1/approvals/{approval}/reject"),
    "/v1/batches", "/v1/burns", "/v1/burns/reverse", "/v1/earns", "/v1/earns/reverse",
    "/v1/cards/{card}/pin", "/v1/transfers",
}  # fmt: skip
_NO_KEY_NEEDED = (
    *("/v1/members", "/v1/cards", "/v1/windows", "/v1/batches"),
    *("/v1/session", "/v1/setup", "/v1/people", "/v1/approvals"),
)


def _assert_body_and_key(operation: dict[str, Any], path: str) -> None:
    assert operation["requestBody"].get("required", False) == (path in _BODY_NEEDED), path
    keys = [one for one in operation.get("parameters", []) if one["name"] == "Idempotency-Key"]
    if not path.startswith(_NO_KEY_NEEDED):
        assert [key["required"] for key in keys] == [True], path
    elif path == "/v1/members":
        assert [key.get("required", False) for key in keys] == [False]


def _assert_examples(document: dict[str, Any], operation: dict[str, Any], where: str) -> None:
    good = next(one for status, one in operation["responses"].items() if status.startswith("2"))
    contents = list(good.get("content", {}).values())
    if "requestBody" in operation:
        contents += operation["requestBody"]["content"].values()
    for content in contents:
        schema = content["schema"]
        if schema == {"type": "null"}:
            # Signing out answers nothing.
            continue
        while "$ref" in schema or "allOf" in schema:
            if schema.get("examples"):
                break
            name = (schema.get("$ref") or schema["allOf"][0]["$ref"]).rsplit("/", 1)[1]
            schema = document["components"]["schemas"][name]
        assert schema.get("examples"), (where, schema.get("title"))
