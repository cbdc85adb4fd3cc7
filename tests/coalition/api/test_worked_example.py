"""The worked example of the README through HTTP: two merchants, four paths, a late correction."""

from typing import Any

from tests.coalition.api.conftest import World


async def test_every_point_keeps_its_origin_through_burn_close_and_reversal(world: World) -> None:
    telecom, retail, house = world.till("telecom"), world.till("retail"), world.till("house")
    card = await telecom.enrol()
    await telecom.earn(card, 1_200)
    await retail.earn(card, 700)

    first = await retail.burn(card, 1_500)
    second = await telecom.burn(card, 300)

    assert _legs(first) == [("telecom", 1_200), ("retail", 300)]
    assert _legs(second) == [("retail", 300)]
    assert second["available"] == 100
    world.clock.pass_(days=30)
    closed = await house.post("/v1/windows/2017-03/close")
    assert _nets(closed.json()["positions"]) == {"telecom": -960, "retail": 960, "house": 0}

    back = await retail.post(f"/v1/burns/{first['burn_id']}/reverse", {"points": 500})
    assert back.status_code == 201, back.text
    assert _legs(back.json()) == [("retail", 300), ("telecom", 200)]
    closed = await house.post("/v1/windows/2017-04/close", {"early": True})
    assert _nets(closed.json()["positions"]) == {"telecom": 200, "retail": -200, "house": 0}


async def test_each_party_reads_its_own_paths_and_position(world: World) -> None:
    telecom, retail, house = world.till("telecom"), world.till("retail"), world.till("house")
    card = await telecom.enrol()
    await telecom.earn(card, 1_200)
    await retail.burn(card, 1_000)
    await house.post("/v1/windows/2017-03/close", {"early": True})

    for till in (telecom, retail, house):
        paths = (await till.get("/v1/windows/2017-03/paths")).json()["items"]
        redeemed = [path for path in paths if path["kind"] == "redemption"]
        assert [(p["points"], p["price"], p["amount"]) for p in redeemed] == [(1_000, "0.01", 1000)]
    plain = world.till("plain")
    assert (await plain.get("/v1/windows/2017-03/paths")).json()["items"] == []
    for till, code in ((telecom, "telecom"), (retail, "retail")):
        positions = (await till.get("/v1/windows/2017-03/positions")).json()["items"]
        assert [position["party"] for position in positions] == [code]
    everybody = (await house.get("/v1/windows/2017-03/positions")).json()["items"]
    assert sum(position["net"] for position in everybody) == 0


def _legs(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(leg["origin"], leg["points"]) for leg in answer["legs"]]


def _nets(positions: list[dict[str, Any]]) -> dict[str, int]:
    return {position["party"]: position["net"] for position in positions} | {
        "house": sum(p["net"] for p in positions if p["party"] == "house")
    }
