"""The table that a run ends with, and the same as JSON, with what the machine was."""

import importlib.metadata
import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Goal, Row, Series, undecided, unmet
from benchmarks.place import Place, connected, run
from benchmarks.sizes import Sizes
from coalition.postgres import programs
from coalition.postgres.sizing import settings_for

_PACKAGES = ("coalition", "litestar", "granian", "msgspec", "sqlalchemy", "asyncpg", "uvloop")


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were taken on. memory_gb is None where the system does not tell."""

    system: str
    processor: str
    cores: int
    memory_gb: float | None
    load_average: float | None
    python: str
    postgres: str
    wrk: str
    packages: dict[str, str]
    settings: dict[str, str]


def machine_of(place: Place) -> Machine:
    """Asked at the start, so that load_average is what else went on."""
    try:
        memory_gb = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        memory_gb = None
    return Machine(
        system=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gb=memory_gb,
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        python=platform.python_version(),
        postgres=_postgres_version(place),
        wrk=_wrk_version(),
        packages={name: importlib.metadata.version(name) for name in _PACKAGES},
        settings=run(_settings(place)),
    )


async def _settings(place: Place) -> dict[str, str]:
    """What PostgreSQL was set up with, for ours and for the references alike."""
    async with connected(place, "postgres") as connection:
        found = await connection.fetch(
            "select name, current_setting(name) as shown from pg_settings"
            " where name = any($1) order by name",
            [*settings_for(0, 0), "fsync", "synchronous_commit"],
        )
    return {row["name"]: row["shown"] for row in found}


def _postgres_version(place: Place) -> str:
    return programs.run(place.server.binaries / "postgres", ["--version"], None).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def _wrk_version() -> str:
    try:
        printed = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""
    return printed.partition("[")[0].strip()


def show(console: Console, rows: Sequence[Row], machine: Machine) -> None:
    """The table, then what was not reached, in words."""
    table = Table(title="median (lowest to highest) of the rounds", title_justify="left")
    for head, justify in (("What", "left"), ("Figure", "right"), ("Reference", "right"),
                          ("Ratio", "right"), ("Goal", "right"), ("Met", "left")):  # fmt: skip
        table.add_column(head, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(
            row.name, _figure(row), _reference(row),
            "" if row.ratio is None else f"{row.ratio:.2f}", _goal(row), _met(row),
        )  # fmt: skip
    console.print(table)
    for row in rows:
        if row.note:
            console.print(f"{row.name}: {row.note}", highlight=False)
    console.print(
        f"{machine.cores} cores ({machine.processor}), {machine.memory_gb} GB, {machine.postgres}, "
        f"Python {machine.python}, {machine.wrk or 'no wrk'}. Load before the start: "
        f"{machine.load_average}.",
        highlight=False,
    )
    console.print(
        "PostgreSQL: " + ", ".join(f"{name} {shown}" for name, shown in machine.settings.items()),
        highlight=False,
    )
    for row in undecided(rows):
        console.print(f"Not measured: {row.name}: {row.absent}.", highlight=False)
    for row in unmet(rows):
        reached = row.figure.middle if row.ratio is None and row.figure else row.ratio or 0
        console.print(
            f"Not met: {row.name}: {_goal(row)}, reached {_number(reached)}.", highlight=False
        )
    if not unmet(rows) and not undecided(rows):
        console.print("Every goal is met.")


def _figure(row: Row) -> str:
    if row.figure is None:
        return row.absent
    text = f"{_number(row.figure.middle)} {row.unit}"
    return text + _span(row.figure)


def _span(series: Series) -> str:
    if len(series.rounds) == 1:
        return ""
    return f" ({_number(min(series.rounds))} to {_number(max(series.rounds))})"


def _reference(row: Row) -> str:
    if row.reference is None:
        return ""
    return f"{_number(row.reference.middle)}{_span(row.reference)} {row.reference_name}"


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    unit = "" if row.reference is not None or row.reference_name else f" {row.unit}"
    return f"{row.goal.side} {row.goal.bound:g}{unit}"


def _met(row: Row) -> str:
    return {None: "", True: "yes", False: "NO"}[row.is_met]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def write_json(path: Path, rows: Sequence[Row], machine: Machine, sizes: Sizes) -> None:
    """Everything the table shows, with every round."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": asdict(machine),
        "sizes": asdict(sizes),
        "rows": [_as_json(row) for row in rows],
    }
    path.write_text(json.dumps(written, indent=2) + "\n")


def _as_json(row: Row) -> dict[str, Any]:
    ratio = row.ratio
    return {
        "what": row.name,
        "unit": row.unit,
        "figure": _series(row.figure),
        "reference": _series(row.reference),
        "reference_name": row.reference_name,
        "ratio": None if ratio is None or math.isnan(ratio) else ratio,
        "goal": asdict(row.goal) if isinstance(row.goal, Goal) else None,
        "met": row.is_met,
        "note": row.note,
    }


def _series(series: Series | None) -> dict[str, Any] | None:
    if series is None:
        return None
    rounds = series.rounds
    return {
        "median": series.middle, "min": min(rounds), "max": max(rounds), "rounds": list(rounds)
    }  # fmt: skip
