"""Make .venv from requirements.lock, or leave it alone where it is whole and current.

Run by make before every target. Standard library only, and readable by any Python 3, since it
has to say clearly what is missing. Several may run at once: they take turns.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
# Written last: a .venv without it was interrupted half way.
STAMP = VENV / "made_from"
# The version the project is developed on comes first; the rest are tried in order.
CANDIDATES = ("python3.11", "python3.12", "python3.13", "python3.14", "python3", "python")
ASK = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))"


def main() -> None:
    with LOCK.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another make is setting up .venv; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # pip inherits the lock: where only we are killed, the next waits until pip is done.
        os.set_inheritable(lock.fileno(), True)
        if not is_whole():
            make_anew()


def is_whole() -> bool:
    """Whether .venv was finished, from this lock file, in this folder, and its Python runs."""
    try:
        if STAMP.read_text() != stamp():
            return False
        python = [str(VENV / "bin" / "python"), "-c", ""]
        return subprocess.run(python, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def stamp() -> str:
    digest = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    # A copied folder holds scripts that still lead to the old one.
    return f"{digest.hexdigest()} {ROOT}\n"


def make_anew() -> None:
    python = find_python()
    started_s = time.monotonic()
    say("Setting up .venv from requirements.lock: once, one to three minutes, some 400 MB.")
    try:
        if VENV.exists():
            shutil.rmtree(VENV)
        wanted = stamp()
        run([python, "-m", "venv", str(VENV)], "The virtual environment cannot be made")
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        install = [*pip, "install", "--quiet", "--no-input"]
        run([*install, "--require-hashes", "-r", str(LOCK)], "The packages cannot be installed")
        editable = ["--no-build-isolation", "--no-deps", "--editable", str(ROOT)]
        run([*install, *editable], "The project cannot be installed")
        STAMP.write_text(wanted)
    except OSError as error:
        text = f"{VENV} cannot be written ({error}). Clone into a folder of your own."
        raise SystemExit(text) from error
    say(f"Set up in {time.monotonic() - started_s:.0f} s with {python}.")


def find_python() -> str:
    refused = []
    for name in CANDIDATES:
        path = shutil.which(name)
        if path is None:
            continue
        asked = subprocess.run([path, "-c", ASK], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return path
        last = asked.stderr.strip().splitlines()[-1:] or ["older than 3.11"]
        refused.append(f"  {path}: {last[0]}")
    raise SystemExit(
        "No Python 3.11 or newer with venv and ensurepip is on the PATH.\n"
        + "\n".join(refused)
        + "\nInstall it, on Debian and Ubuntu with `apt install python3 python3-venv`."
    )


def run(command: list[str], what_fails: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=str(ROOT), close_fds=False
    )
    if done.returncode != 0:
        printed = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise SystemExit(f"{what_fails}; the next try begins anew. What it said:\n{printed}")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
