"""Returns as a till asks for them that kept no id: by its own reference, over HTTP and in files."""

from typing import Any

from tests.coalition.api.conftest import World
from tests.coalition.api.test_batches import done as sent
from tests.coalition.api.test_batches import ndjson
from tests.coalition.api.test_codes import assert_problem

from coalition.errors import Code


async def test_a_till_reverses_by_the_reference_it_sent(world: World) -> None:
    telecom, at = world.till("telecom"), "2017-03-10T04:00:30Z"
    card = await telecom.enrol()
    earned = await telecom.earn(card, 100, reference="receipt-1")
    burned = await telecom.burn(card, 40, reference="receipt-1")
    world.clock.pass_(hours=30)
    named = {"card": card, "reference": "receipt-1", "points": 10, "occurred_at": at}
    for thing, made in (("earn", earned), ("burn", burned)):
        answer = await telecom.post(f"/v1/{thing}s/reverse", named)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert found[f"{thing}_id"] == made[f"{thing}_id"]
        assert (found["points"], found["occurred_at"]) == (10, at)
    history = (await telecom.get(f"/v1/cards/{card}/history")).json()["items"]
    assert [line["at"] for line in history[:2]] == [at, at]
    # A second receipt of that number is one too many; the ids still tell them apart.
    await telecom.earn(card, 5, reference="receipt-1")
    answer = await telecom.post("/v1/earns/reverse", named)
    assert_problem(answer, Code.INVALID)
    assert "earn_id" in answer.json()["detail"]


async def test_a_row_and_a_request_of_the_same_reversal_are_one(world: World) -> None:
    telecom = world.till("telecom")
    card = await telecom.enrol()
    await telecom.earn(card, 100, reference="receipt-1")
    named = {"card": card, "reference": "receipt-1"}
    rows: list[dict[str, Any]] = [
        {"op": "earn", "key": "e", "points": 7, "card": card, "reference": "receipt-2"},
        {"op": "reverse_earn", "key": "r", "card": card, "reference": "receipt-2"},
        {"op": "reverse_earn", "key": "k", **named},
    ]
    first = await telecom.post("/v1/earns/reverse", named, key="k")
    lines = await sent(telecom, ndjson(*rows))
    assert [(line["status"], line["points"]) for line in lines] == [
        ("posted", 7), ("posted", 7), ("replayed", 100),
    ]  # fmt: skip
    assert lines[2]["id"] == first.json()["reversal_id"]
