"""What needs two persons: proposed by one, done when another agrees, and by nobody alone."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from tests.coalition.api.conftest import HOUSE, TERMS, World
from tests.coalition.api.test_codes import assert_problem
from tests.coalition.people.staff import SOMEBODY, Staff, hire

from coalition.api.proposals import propose_sync
from coalition.errors import Code
from coalition.terms.prices import Price
from coalition.terms.store import sync
from coalition.terms.terms import Terms

CLOSE = "/v1/windows/2017-03/close"
EARLY = {"early": True}


@dataclass
class Desk:
    world: World
    finance: Staff
    approver: Staff

    async def propose(self) -> str:
        answer = await self.finance.post(CLOSE, EARLY)
        assert (answer.status_code, answer.json()["status"]) == (202, "proposed"), answer.text
        approval: str = answer.json()["approval"]
        return approval

    async def decide(self, approval: str, way: str = "approve", **body: str) -> Any:
        answer = await self.approver.post(f"/v1/approvals/{approval}/{way}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def status(self, window: str = "2017-03") -> str:
        listed = (await self.approver.get("/v1/windows")).json()["items"]
        return str(next(one["status"] for one in listed if one["window"] == window))

    async def acts(self) -> list[tuple[str, str]]:
        async with self.world.engine.connect() as connection:
            rows = await connection.execute(
                text("""
                    select action, actor from audit
                    where action ~ '^(approval|window|merchant)' order by audit_no
                """)
            )
            return [(row.action, row.actor) for row in rows]


@pytest.fixture
async def desk(world: World) -> Desk:
    return Desk(world, await hire(world, "finance"), await hire(world, "approver"))


def _dearer() -> list[Terms]:
    """The merchants' files with another price of telecom's from April on."""
    later = Price("telecom", None, date(2017, 4, 1), burn_price=Decimal("0.012"))
    first = TERMS[0]
    return [msgspec.structs.replace(first, prices=(*first.prices, later)), *TERMS[1:]]


async def _propose_dearer(desk: Desk) -> str:
    async with desk.world.engine.begin() as connection:
        now = desk.world.clock.now
        approval = await propose_sync(connection, HOUSE, _dearer(), now, SOMEBODY)
    assert approval is not None
    return approval


async def _prices(desk: Desk) -> int:
    async with desk.world.engine.connect() as connection:
        return int(await connection.scalar(text("select count(*) from price")) or 0)


async def test_until_there_is_an_approver_an_early_close_happens_at_once(world: World) -> None:
    fay = await hire(world, "finance")
    assert (await fay.post(CLOSE, EARLY)).status_code == 200
    assert (await fay.get("/v1/approvals")).json()["items"] == []


async def test_an_early_close_is_proposed_and_done_when_another_person_approves(
    desk: Desk,
) -> None:
    approval = await desk.propose()
    assert await desk.status() == "open"
    [listed] = (await desk.finance.get("/v1/approvals")).json()["items"]
    assert listed["approval"] == approval
    assert listed["would"] == ["close window 2017-03 before its end"]
    assert listed["proposed_by"] == desk.finance.actor
    done = await desk.decide(approval)
    assert (done["status"], done["decided_by"]) == ("approved", desk.approver.actor)
    assert await desk.status() == "closed"
    closed = await desk.finance.post(CLOSE, EARLY)
    assert (closed.status_code, closed.json()["window"]) == (200, "2017-03")
    assert [act for act in await desk.acts() if act[0] != "merchant.sync"] == [
        ("approval.propose", desk.finance.actor),
        ("window.close", desk.approver.actor),
        ("approval.approve", desk.approver.actor),
        ("window.net", desk.approver.actor),
    ]


async def test_a_house_key_proposes_as_well_and_cannot_approve(desk: Desk) -> None:
    house = desk.world.till("house")
    answer = await house.post(CLOSE, EARLY)
    assert answer.status_code == 202, answer.text
    path = f"/v1/approvals/{answer.json()['approval']}/approve"
    assert_problem(await house.post(path), Code.SCOPE_MISSING)
    assert await desk.status() == "open"


async def test_the_same_thing_is_proposed_once_at_a_time(desk: Desk) -> None:
    first = await desk.propose()
    assert await desk.propose() == first
    await desk.decide(first, "reject", reason="not yet")
    assert await desk.propose() != first


async def test_who_proposed_it_decides_neither_way(desk: Desk) -> None:
    proposed = await desk.approver.post(CLOSE, EARLY)
    path = f"/v1/approvals/{proposed.json()['approval']}"
    assert_problem(await desk.approver.post(f"{path}/approve"), Code.OWN_APPROVAL)
    assert_problem(await desk.approver.post(f"{path}/reject", {"reason": "x"}), Code.OWN_APPROVAL)
    assert await desk.status() == "open"
    other = await hire(desk.world, "approver", email="second@house.example")
    assert (await other.post(f"{path}/approve")).json()["status"] == "approved"


async def test_what_was_rejected_says_why_and_is_over(desk: Desk) -> None:
    approval = await desk.propose()
    told = await desk.decide(approval, "reject", reason="quarter's end first")
    assert (told["status"], told["reason"]) == ("rejected", "quarter's end first")
    assert_problem(await desk.approver.post(f"/v1/approvals/{approval}/approve"), Code.INVALID)
    assert await desk.status() == "open"
    missing = await desk.approver.post("/v1/approvals/apr_000000000000/approve")
    assert_problem(missing, Code.NOT_FOUND)


async def test_closing_a_window_that_is_due_stays_immediate(desk: Desk) -> None:
    desk.world.clock.pass_(days=40)
    house = desk.world.till("house")
    for body in ({}, EARLY):
        assert (await house.post(CLOSE, body)).status_code == 200


async def test_a_dry_run_needs_nobody(desk: Desk) -> None:
    answer = await desk.finance.post(CLOSE, {"early": True, "dry_run": True})
    assert (answer.status_code, answer.json()["dry_run"]) == (200, True)


async def test_an_approved_close_of_a_window_that_was_closed_meanwhile_is_void(
    desk: Desk,
) -> None:
    approval = await desk.propose()
    desk.world.clock.pass_(days=40)
    assert (await desk.world.till("house").post(CLOSE)).status_code == 200
    await desk.approver.sign_in()
    told = await desk.decide(approval)
    assert (told["status"], told["reason"]) == ("void", "window 2017-03 was closed meanwhile")


async def test_a_price_is_proposed_and_in_force_when_another_person_approves(desk: Desk) -> None:
    before = await _prices(desk)
    approval = await _propose_dearer(desk)
    assert await _prices(desk) == before
    [listed] = (await desk.approver.get("/v1/approvals")).json()["items"]
    assert any("0.012" in line for line in listed["would"])
    assert (await desk.decide(approval))["status"] == "approved"
    assert await _prices(desk) == before + 1
    assert ("merchant.sync", desk.approver.actor) in await desk.acts()


async def test_terms_that_changed_meanwhile_make_the_proposal_void(desk: Desk) -> None:
    approval = await _propose_dearer(desk)
    async with desk.world.engine.begin() as connection:
        other = [msgspec.structs.replace(TERMS[0], name="Telecom & Co"), *TERMS[1:]]
        await sync(connection, HOUSE, other, desk.world.clock.now, SOMEBODY)
    before = await _prices(desk)
    told = await desk.decide(approval)
    assert told["status"] == "void"
    assert "changed meanwhile" in told["reason"]
    assert await _prices(desk) == before


async def test_files_that_change_nothing_need_nobody(desk: Desk) -> None:
    async with desk.world.engine.begin() as connection:
        now = desk.world.clock.now
        assert await propose_sync(connection, HOUSE, TERMS, now, SOMEBODY) is None
