"""What is said of a text that is not TOML: its line, what is wrong, and what would be right."""

import pytest

from coalition.toml.document import parse_document

SLIPS = [
    ('name = "Tele\nx = 1\n', 1, 'a quote is missing; write name = "Tele"'),
    ('x = 1\nname = "Tele', 2, 'a quote is missing; write name = "Tele"'),
    ("name = 'Tele\nx = 1\ny = 2\n", 1, 'a quote is missing; write name = "Tele"'),
    ('x = 1\nname = Tele"\n', 2, 'a quote is missing; write name = "Tele"'),
    ('name = "Te"le"\n', 1, 'a quote is missing or one too many in "Te"le"'),
    ("currency = CNY  # yuan\n", 1, 'CNY is a text without quotes; write currency = "CNY"'),
    ("zone = Asia/Shanghai\r\nx = 1\r\n", 1, 'write zone = "Asia/Shanghai"'),
    ("name = \u201cTele\u201d\n", 1, 'curly quotes do not count; write name = "Tele"'),
    ("suspended = True\n", 1, "write suspended = true, in small letters"),
    ("suspended = FALSE # yet\n", 1, "write suspended = false, in small letters"),
    ("joined_on = 01.01.2017\n", 1, "01.01.2017 is not a date; write it as year-month-day"),
    ("joined_on = 1/2/2017\n", 1, "such as joined_on = 2017-01-31"),
    ("joined_on = 2017-1-1\n", 1, "2017-1-1 is not a date"),
    ("joined_on = 2017-02-30\n", 1, "there is no 2017-02-30 in the calendar"),
    ('x = 1\nname = "a\0b"\n', 2, "the character U+0000 cannot be seen"),
    ("per = 1,50\n", 1, '1,50 is not an amount; write per = "1.50"'),
    ("a = 1\na = 2\n", 2, "a = 2 stands above already; leave one of them"),
    ("[a]\n[b]\n[a]\n", 3, "[a] stands above already"),
    ("a = \n", 1, "invalid value; nothing stands after a ="),
    ('a = 1\nb = """one\nc = "two"\n', 2, "unterminated string"),
    ('per: "1"\n', 1, "expected '=' after a key"),
]


@pytest.mark.parametrize(("text", "line", "says"), SLIPS)
def test_a_slip_is_told_with_its_line_and_what_would_be_right(
    text: str, line: int, says: str
) -> None:
    (mistake,) = parse_document("a.toml", text.encode()).mistakes
    assert (mistake.line, says in mistake.message) == (line, True), str(mistake)
    assert mistake.message.startswith("not TOML: ")


@pytest.mark.parametrize("text", ["n = " + "1" * 5000, "n = 1e99999999999999999999"])
def test_a_number_that_nothing_can_hold_is_a_mistake(text: str) -> None:
    (mistake,) = parse_document("a.toml", text.encode()).mistakes
    assert "a number is too long" in mistake.message


def test_a_file_that_begins_with_a_byte_order_mark_is_read() -> None:
    document = parse_document("a.toml", b'\xef\xbb\xbfname = "Tele"\n\n[burning]\n')
    assert document.mistakes == []
    assert document.values == {"name": "Tele", "burning": {}}
    assert document.lines["name",] == 1
