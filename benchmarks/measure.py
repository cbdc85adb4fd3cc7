"""The order in which everything is measured: ours and the references in turns, on one server."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import attacks, files, references, till_load
from benchmarks.closing import Closes, measure_closing
from benchmarks.files import Posted
from benchmarks.place import Place, run
from benchmarks.references import TpcB
from benchmarks.seed import Town, make_town
from benchmarks.servers import ApiServer, forget_peaks, peak_mb, serving
from benchmarks.sizes import Sizes
from benchmarks.till_load import Load
from coalition.database import create_engine
from coalition.verify import verify

MANY, FEW = 128, 32
# A share of the load at which a till's wait is looked at.
HALF = 0.5
WARM_UP_S = 2


@dataclass(slots=True)
class Measured:
    """All rounds of everything. loads are by name, files by what is in them.

    peaks_mb: the highest resident size of a serving process, by what it did.
    """

    tpcb: list[TpcB] = field(default_factory=list)
    loads: dict[str, list[Load]] = field(default_factory=dict)
    copied_rows_per_s: list[float] = field(default_factory=list)
    over_http: dict[str, list[Posted]] = field(default_factory=dict)
    in_process: dict[str, list[Posted]] = field(default_factory=dict)
    peaks_mb: dict[str, list[float]] = field(default_factory=dict)
    closes: Closes | None = None
    batches_served: bool = True
    attacks_answered: dict[str, list[dict[str, int]]] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)


def measure(place: Place, sizes: Sizes) -> Measured:
    """Everything, in one run."""
    measured = Measured()
    place.say(f"Seeding {sizes.members:,} members and TPC-B at scale {sizes.tpcb_scale}")
    town = run(make_town(place, "town", sizes.members, sizes.merchants))
    references.prepare_tpcb(place, sizes.tpcb_scale)
    with place.console.status("Measuring"):
        if till_load.is_available():
            _mix(place, town, sizes, measured)
            _attacks(place, town, sizes, measured)
        else:
            place.say(till_load.MISSING)
            for _ in range(sizes.rounds):
                _tpcb(place, sizes, measured)
        measured.copied_rows_per_s = run(
            references.copy_rows_per_s(place, town.database, sizes.rows, sizes.rounds)
        )
        _night_files(place, town, sizes, measured)
    place.say(f"Closing a window of {sizes.legs:,} legs")
    measured.closes = measure_closing(place, sizes.legs, sizes.closing_merchants, sizes.rounds)
    if sizes.members_large and till_load.is_available():
        _mix_at_size(place, town, sizes, measured)
    place.say("Verifying the ledger that all of this was posted to")
    measured.breaches = run(_verify(place, town))
    return measured


async def _verify(place: Place, town: Town) -> list[str]:
    engine = create_engine(place.url(town.database), place.seal_key, pool_size=1)
    try:
        async with engine.connect() as connection:
            return [f"{one.row} breaks: {one.rule}" for one in await verify(connection)]
    finally:
        await engine.dispose()


def _tpcb(place: Place, sizes: Sizes, measured: Measured) -> None:
    found = references.tpcb(place, sizes.seconds)
    measured.tpcb.append(found)
    place.say(f"  TPC-B: {found.tps:,.0f}/s, {found.latency_ms:.1f} ms")


@dataclass(frozen=True, slots=True)
class _Wrk:
    """Rounds of load on one server; every round has a name of its own."""

    place: Place
    town: Town
    measured: Measured

    def __call__(
        self, name: str, server: ApiServer, connections: int, seconds: int, pause_ms: int = 0
    ) -> Load:
        rounds = self.measured.loads.setdefault(name, [])
        key = f"{self.town.database}-{name}-{len(rounds)}".replace(" ", "-")
        found = till_load.load(
            self.place, self.town, server, key,
            len(rounds) + 1, connections=connections, seconds=seconds, pause_ms=pause_ms,
        )  # fmt: skip
        rounds.append(found)
        self.place.say(
            f"  {name}: {found.per_s:,.0f}/s, p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms"
            + (f", {found.short} without enough points" if found.short else "")
            + (f", {found.others} other answers: {found.sample}" if found.others else "")
            + (f", {found.broken} broken off" if found.broken else "")
        )
        return found


def _mix(place: Place, town: Town, sizes: Sizes, measured: Measured) -> None:
    """TPC-B, 128 connections, 32, two processes, half the load; and again."""
    wrk = _Wrk(place, town, measured)
    with ExitStack() as stack:
        one = stack.enter_context(serving(place, town.database, processes=1))
        two = stack.enter_context(serving(place, town.database, processes=2))
        for server in (one, two):
            wrk("warm up", server, FEW, WARM_UP_S)
        for _ in range(sizes.rounds):
            _tpcb(place, sizes, measured)
            forget_peaks(one)
            full = wrk("mix 128", one, MANY, sizes.seconds)
            _note_peak(measured, "mix 128", one)
            wrk("mix 32", one, FEW, sizes.seconds)
            wrk("mix 128, two processes", two, MANY, sizes.seconds)
            _half_load(wrk, one, full, sizes)


def _half_load(wrk: _Wrk, server: ApiServer, full: Load, sizes: Sizes) -> None:
    wrk("half load", server, MANY, sizes.seconds, _pause_ms(wrk, server, full))


def _pause_ms(wrk: _Wrk, server: ApiServer, full: Load) -> int:
    """wrk keeps no rate, so its connections pause; a first short round tells how long."""
    wanted_per_s = full.per_s * HALF
    first = till_load.pause_ms(MANY, wanted_per_s, full.mean_ms * HALF)
    tried = wrk("half load, tried", server, MANY, WARM_UP_S, first)
    return till_load.pause_ms(MANY, wanted_per_s, tried.mean_ms)


def _attacks(place: Place, town: Town, sizes: Sizes, measured: Measured) -> None:
    """Half the load with all keys but one, which the attacker has."""
    tills, attacker = attacks.tills_and_attacker(place, town)
    wrk = _Wrk(place, tills, measured)
    full = measured.loads["mix 128"][-1]
    with serving(place, town.database, processes=1) as server:
        pause_ms = _pause_ms(wrk, server, full)
    measured.attacks_answered = attacks.measure_attacks(
        place, tills, attacker, sizes,
        lambda name, server: wrk(name, server, MANY, sizes.seconds, pause_ms),
    )  # fmt: skip


def _note_peak(measured: Measured, doing: str, server: ApiServer) -> None:
    peak = peak_mb(server)
    if peak is not None:
        measured.peaks_mb.setdefault(doing, []).append(peak)


def _night_files(place: Place, town: Town, sizes: Sizes, measured: Measured) -> None:
    with serving(place, town.database, processes=1) as server:
        for kind, burns_of_4 in (("earns", 0), ("mixed", 1)):
            _tpcb(place, sizes, measured)
            if measured.batches_served:
                path = files.make_file(
                    place, town, f"http-{kind}", sizes.rows, burns_of_4=burns_of_4
                )
                forget_peaks(server)
                _over_http(place, town, server, path, kind, sizes, measured)
            path = files.make_file(place, town, f"direct-{kind}", sizes.rows, burns_of_4=burns_of_4)
            posted = run(files.post_in_process(place, town, path))
            measured.in_process.setdefault(kind, []).append(posted)
            place.say(f"  {kind}, Ledger.post: {_told(posted)}")
            path.unlink()


def _over_http(
    place: Place,
    town: Town,
    server: ApiServer,
    path: Path,
    kind: str,
    sizes: Sizes,
    measured: Measured,
) -> None:
    posted = files.post_over_http(town, server, path, sizes.rows)
    path.unlink()
    if posted is None:
        measured.batches_served = False
        place.say("  POST /v1/batches: not served")
        return
    measured.over_http.setdefault(kind, []).append(posted)
    _note_peak(measured, "file", server)
    place.say(f"  {kind}, POST /v1/batches: {_told(posted)}")


def _told(posted: Posted) -> str:
    return f"{posted.rows_per_s:,.0f} rows/s, {posted.refused:,} refused"


def _mix_at_size(place: Place, town: Town, sizes: Sizes, measured: Measured) -> None:
    place.say(f"Seeding {sizes.members_large:,} members and ten times as many lots: minutes")
    city = run(make_town(place, "city", sizes.members_large, sizes.merchants))
    with (
        serving(place, town.database, processes=1) as small,
        serving(place, city.database, processes=1) as large,
    ):
        in_town, in_city = _Wrk(place, town, measured), _Wrk(place, city, measured)
        in_town("warm up at size", small, FEW, WARM_UP_S)
        in_city("warm up at size", large, FEW, WARM_UP_S)
        for _ in range(sizes.rounds):
            in_town("mix 128 again", small, MANY, sizes.seconds)
            in_city("mix 128, ten times the members", large, MANY, sizes.seconds)
