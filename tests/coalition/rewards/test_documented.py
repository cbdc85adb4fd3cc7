"""Every example of docs/rewards.md is a catalogue that can be synced as it stands."""

import re
from pathlib import Path

import pytest
from tests.coalition.terms.test_folder import HOUSE
from tests.coalition.terms.test_reading_rewards import MERCHANT

from coalition.terms.folder import check_folder, read_folder

PAGE = Path(__file__).parents[3] / "docs" / "rewards.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[1])
def test_an_example_is_right(tmp_path: Path, example: str) -> None:
    (tmp_path / "house.toml").write_text(HOUSE)
    for code, rewards in (("telecom", example), ("retail", "")):
        (tmp_path / f"{code}.toml").write_text(MERCHANT.format(code=code) + rewards)
    assert check_folder(tmp_path) == []
    _, (_, telecom) = read_folder(tmp_path)
    assert len(telecom.rewards) == example.count("[[rewards]]")


def test_there_are_examples_of_every_kind_but_a_service() -> None:
    kinds = set(re.findall(r'kind = "(\w+)"', "".join(EXAMPLES)))
    assert kinds == {"voucher", "goods", "cash_out", "donation"}
