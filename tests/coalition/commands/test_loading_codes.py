"""Voucher codes from the command line: loaded once, told of when they run low."""

from pathlib import Path

from tests.coalition.commands.terminal import Type

REWARDS = """
[[rewards]]
code = "card"
name = "A gift card"
kind = "voucher"
price = [{ any = 500 }]
voucher = { codes = "loaded", low = 3 }
"""


def test_codes_are_loaded_and_named_when_they_run_low(terminal: Type, tmp_path: Path) -> None:
    folder = tmp_path / "merchants"
    folder.mkdir()
    own = Path(__file__).parents[3] / "configs" / "merchants" / "alliance"
    for path in own.glob("*.toml"):
        (folder / path.name).write_text(path.read_text())
    # A merchant that is new has its rewards at once, another from the day after the sync.
    (folder / "gifts.toml").write_text((own / "retail.toml").read_text() + REWARDS)
    terminal("merchants", "sync", folder)
    codes = tmp_path / "codes.txt"
    codes.write_text("A-1\nA-2\n\nA-1\n")
    told = terminal("rewards", "load-codes", "gifts", "card", codes).stdout
    assert "2 loaded, 0 were there already; 2 can be given out." in told
    assert "gifts card: 2 codes are left, fewer than 3" in terminal("rewards", "low").stdout
    codes.write_text("A-2\nA-3\n")
    told = terminal("rewards", "load-codes", "gifts", "card", codes).stdout
    assert "1 loaded, 1 were there already; 3 can be given out." in told
    assert "No reward runs low" in terminal("rewards", "low").stdout
    wrong = terminal("rewards", "load-codes", "gifts", "cart", codes, leaves_with=1)
    assert "gifts has no reward 'cart'" in wrong.stderr
