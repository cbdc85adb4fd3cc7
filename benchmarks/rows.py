"""Which rows the table has, and the goal of each: rounds in, rows out."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.attackers import ATTACKS
from benchmarks.attacks import CALM, under
from benchmarks.figures import Goal, Row, Series, series_of
from benchmarks.files import Posted
from benchmarks.measure import Measured
from benchmarks.references import CLIENTS
from benchmarks.sizes import Sizes
from benchmarks.till_load import MISSING, Load

MEMORY = Goal("at most", 300)


def rows_of(measured: Measured, sizes: Sizes) -> list[Row]:
    """Every row, whether it could be measured or not."""
    tps = series_of(one.tps for one in measured.tpcb)
    return [
        Row(f"TPC-B, {CLIENTS} clients", "/s", tps),
        Row("TPC-B, mean latency", "ms", series_of(one.latency_ms for one in measured.tpcb)),
        Row("bare COPY of journal rows", "rows/s", series_of(measured.copied_rows_per_s)),
        *_mix_rows(measured, tps),
        *_attack_rows(measured),
        *_file_rows(measured, tps),
        *_close_rows(measured, sizes),
        *_size_rows(measured, sizes),
        _memory_row(measured, "mix 128", "memory of a process, 128 connections", MISSING),
        _memory_row(measured, "file", "memory of a process, while a file runs", "not served"),
    ]


def _mix_rows(measured: Measured, tps: Series | None) -> list[Row]:
    loads = measured.loads
    one, two = loads.get("mix 128", []), loads.get("mix 128, two processes", [])
    few = loads.get("mix 32", [])
    two_per_s, against_one = _per_s(two), _per_s(one)
    return [
        Row("HTTP mix, 128 connections", "/s", against_one, tps, "TPC-B",
            Goal("at least", 1.5), _answers(one), MISSING),
        Row("HTTP mix, 128, two processes", "/s", two_per_s, tps, "TPC-B",
            Goal("at least", 1.5), _answers(two), MISSING),
        Row("two processes against one", "/s", two_per_s, against_one, "one process",
            Goal("at least", 1), absent=MISSING),
        Row("HTTP mix, 32 connections", "/s", _per_s(few), tps, "TPC-B",
            Goal("at least", 1.2), _answers(few), MISSING),
        *_latency_rows(measured),
    ]  # fmt: skip


def _latency_rows(measured: Measured) -> list[Row]:
    half = measured.loads.get("half load", [])
    latency, per_s = series_of(one.latency_ms for one in measured.tpcb), _per_s(half)
    at = f"at {per_s.middle:,.0f}/s; {_answers(half)}" if per_s else ""
    mean = "TPC-B's mean"
    return [
        Row("half that load, p50", "ms", series_of(load.p50_ms for load in half), latency, mean,
            absent=MISSING),
        Row("half that load, p99", "ms", series_of(load.p99_ms for load in half), latency, mean,
            Goal("at most", 2), at, MISSING),
    ]  # fmt: skip


def _attack_rows(measured: Measured) -> list[Row]:
    calm = series_of(load.p99_ms for load in measured.loads.get(CALM, []))
    rows = []
    for name in ATTACKS:
        rounds = measured.loads.get(under(name), [])
        answered = Counter[str]()
        for one in measured.attacks_answered.get(name, []):
            answered.update(one)
        told = ", ".join(f"{count:,} {status}" for status, count in sorted(answered.items()))
        rows.append(
            Row(f"half that load, p99 under {name}", "ms", series_of(r.p99_ms for r in rounds),
                calm, "calm", Goal("at most", 3),
                f"tills: {_answers(rounds)}; attacker: {told}" if rounds else "", MISSING)
        )  # fmt: skip
    return rows


def _per_s(rounds: Sequence[Load]) -> Series | None:
    return series_of(load.per_s for load in rounds)


def _answers(rounds: Sequence[Load]) -> str:
    """What was not answered 201; only 201s are in the figure."""
    if not rounds:
        return ""
    created, short = sum(r.created for r in rounds), sum(r.short for r in rounds)
    others, broken = sum(r.others for r in rounds), sum(r.broken for r in rounds)
    told = f"{created:,} posted, {short:,} answered insufficient_points"
    if others or broken:
        sample = next((r.sample for r in rounds if r.sample), "")
        told += f", {others:,} ANSWERED OTHERWISE ({sample}), {broken:,} BROKEN OFF"
    return told


def _file_rows(measured: Measured, tps: Series | None) -> list[Row]:
    rows = []
    for kind, bound in (("earns", 20), ("mixed", 8)):
        http = measured.over_http.get(kind, [])
        rows.append(
            Row(f"file of {kind}, POST /v1/batches", "rows/s", _rows_per_s(http), tps, "TPC-B",
                Goal("at least", bound), _refused(http), "not served")
        )  # fmt: skip
        direct = measured.in_process.get(kind, [])
        rows.append(
            Row(f"file of {kind}, Ledger.post", "rows/s", _rows_per_s(direct), tps, "TPC-B",
                note=_refused(direct))
        )  # fmt: skip
    return rows


def _rows_per_s(rounds: Sequence[Posted]) -> Series | None:
    return series_of(posted.rows_per_s for posted in rounds)


def _refused(rounds: Sequence[Posted]) -> str:
    rows, refused = sum(r.rows for r in rounds), sum(r.refused for r in rounds)
    return f"{rows:,} rows, {refused:,} refused" if rounds else ""


def _close_rows(measured: Measured, sizes: Sizes) -> list[Row]:
    closes = measured.closes
    assert closes is not None, "the table is made after the close was measured"
    what = f"{sizes.legs:,} legs, {closes.pairs:,} pairs"
    return [
        Row("close of a window", "s", series_of(closes.close_s), series_of(closes.group_by_s),
            "bare group by", Goal("at most", 1.5), what),
        Row("longest wait of a till meanwhile", "ms", series_of(closes.longest_wait_ms)),
        Row("memory of the closing process", "MB", series_of(closes.peak_mb)),
    ]  # fmt: skip


def _size_rows(measured: Measured, sizes: Sizes) -> list[Row]:
    if not sizes.members_large:
        return [
            Row("HTTP mix, ten times the members", "/s", None, None, "itself",
                Goal("at least", 0.8), absent="with --large only")
        ]  # fmt: skip
    large = measured.loads.get("mix 128, ten times the members", [])
    small = measured.loads.get("mix 128 again", [])
    return [
        Row("HTTP mix, ten times the members", "/s", _per_s(large), _per_s(small),
            f"{sizes.members:,} members", Goal("at least", 0.8), _answers(large), MISSING)
    ]  # fmt: skip


def _memory_row(measured: Measured, doing: str, name: str, absent: str) -> Row:
    return Row(name, "MB", series_of(measured.peaks_mb.get(doing, [])), goal=MEMORY, absent=absent)
