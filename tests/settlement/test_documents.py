"""A statement as a file: readable back to the last cent, the same bytes each time, harmless."""

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from tests.settlement.test_statement import WINDOW, example

from settlement.documents import BOM, FORMATS, csv_file, json_file, write_document, xlsx_file
from settlement.documents.text import harmless, price_text
from settlement.obligation import Obligation, PathLine, Result
from settlement.statement import INCLUDED, STATEMENT_FORMAT, LineRow, Statement, build

# Statements as they were issued, which keep their bytes for ever: never written anew.
GOLDEN = Path(__file__).parent / "golden"


def _statement(party: str = "retail", name: str = "Retail") -> Statement:
    return build(example(), WINDOW, party, name)


@pytest.mark.parametrize("document", [csv_file, json_file, xlsx_file])
@pytest.mark.parametrize("party", ["retail", "telecom", "house", "nobody"])
def test_a_second_build_gives_the_same_bytes(document: Any, party: str) -> None:
    assert document.render(_statement(party)) == document.render(_statement(party))


def test_the_workbook_says_when_the_window_ended_and_never_when_it_was_made() -> None:
    book = openpyxl.load_workbook(io.BytesIO(xlsx_file.render(_statement())))
    assert book.properties.created == WINDOW.closes_at.replace(tzinfo=None)
    assert book.properties.modified == WINDOW.closes_at.replace(tzinfo=None)


def _sheet(statement: Statement, name: str, *, data_only: bool = True) -> Any:
    content = io.BytesIO(xlsx_file.render(statement))
    return openpyxl.load_workbook(content, data_only=data_only)[name]


def test_the_workbook_reads_back_points_times_price_and_sums() -> None:
    sheet = _sheet(_statement(), "Lines")
    head, *rows = sheet.iter_rows(values_only=True)
    assert head == (
        "Path", "Kind", "Points of", "Used at", "Points", "Price a point", "Amount", "Currency",
        "Direction",
    )  # fmt: skip
    assert ("cross as redeemer", "redemption", "telecom", "retail", 1_200, 0.02, 24, "CNY",
            "owed to you") in rows  # fmt: skip
    sums = {row[0]: row[6] for row in rows if str(row[0]).startswith("Sum")}
    assert sums == {"Sum, owed to you": 24, "Sum, you owe": 6}


def test_the_sums_are_formulas_over_exactly_the_lines() -> None:
    sheet = _sheet(_statement(), "Lines", data_only=False)
    lines = len(_statement().lines)
    formulas = [str(row[6].value) for row in sheet.iter_rows(min_row=lines + 2) if row[6].value]
    assert formulas == [
        f'=SUMIFS(G2:G{lines + 1},H2:H{lines + 1},"CNY",I2:I{lines + 1},"{direction}")'
        for direction in ("owed to you", "you owe")
    ]


def test_the_workbook_has_summary_corrections_and_matrix() -> None:
    assert [cell.value for cell in _sheet(_statement(), "Summary")[6]] == [
        "CNY", -5, 27.5, 10, 17.5, 12.5, 0,
    ]  # fmt: skip
    corrections = list(_sheet(_statement(), "Corrections").iter_rows(values_only=True))
    assert ("2017-03", "given back") in [row[:2] for row in corrections]
    assert ("2017-02", "late") in [row[:2] for row in corrections]
    matrix = list(_sheet(_statement(), "Matrix").iter_rows(min_row=2, values_only=True))
    assert ("telecom", "retail", 1_000, 0, 20, "CNY") in matrix


@pytest.mark.parametrize(
    ("currency", "amount", "number_format"), [("JPY", 1_234, "#,##0"), ("KWD", 1.234, "#,##0.000")]
)
def test_amounts_are_shown_with_the_digits_of_their_currency(
    currency: str, amount: int, number_format: str
) -> None:
    position = replace(example().positions[0], party="retail", currency=currency, receivable=1_234)
    sheet = _sheet(build(Result((), (), (position,)), WINDOW, "retail", "Retail"), "Summary")
    assert (sheet["C6"].value, sheet["C6"].number_format) == (amount, number_format)


TOO_LONG = "(as text: more digits than a spreadsheet adds up)"


def test_an_amount_that_a_spreadsheet_cannot_hold_exactly_says_that_it_is_text() -> None:
    position = replace(example().positions[0], party="retail", receivable=2**60 + 1)
    sheet = _sheet(build(Result((), (), (position,)), WINDOW, "retail", "Retail"), "Summary")
    assert sheet["C6"].value == f"11529215046068469.77 {TOO_LONG}"


def test_a_sum_over_an_amount_that_is_text_is_no_formula_that_leaves_it_out() -> None:
    price, huge = Decimal("1.00"), 10**15
    paths = tuple(
        PathLine(no, "telecom", "retail", "redemption", huge, price, 100 * huge, "CNY", None)
        for no in (1, 2)
    )
    owed = tuple(
        Obligation(no, "telecom", "house", 100 * huge, "CNY", "burn", no, huge, price)
        for no in (1, 2)
    )
    statement = build(Result(paths, owed, ()), WINDOW, "telecom", "Telecom")
    sheet = _sheet(statement, "Lines", data_only=False)
    last = list(sheet.iter_rows(values_only=True))[-1]
    assert (last[0], last[6]) == ("Sum, you owe", f"2000000000000000.00 {TOO_LONG}")
    assert sheet["E2"].value == f"{huge} {TOO_LONG}"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_calculate_is_made_harmless(start: str) -> None:
    name = f'{start}HYPERLINK("http://x.example","y")'
    assert {row["party_name"] for row in _csv(_statement(name=name))} == {f"'{name}"}
    cell = _sheet(_statement(name=name), "Summary", data_only=False)["A2"]
    assert cell.data_type == "s"


def _csv(statement: Statement) -> list[dict[str, str]]:
    text = csv_file.render(statement).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _added(rows: list[dict[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))


def test_numbers_are_not_touched_by_what_makes_text_harmless() -> None:
    opening = [row["opening_balance"] for row in _csv(_statement()) if row["opening_balance"]]
    assert opening == ["-5.00"]
    assert harmless("plain") == "plain"


@pytest.mark.parametrize("party", ["retail", "telecom", "wine", "house", "fuel"])
def test_each_column_of_the_csv_adds_up_without_leaving_a_row_out(party: str) -> None:
    rows = _csv(_statement(party))
    assert _added(rows, "amount") == _added(rows, "net")
    assert _added(rows, "owed_to_you") + _added(rows, "you_owe") == _added(rows, "net")
    carried = _added(rows, "opening_balance") + _added(rows, "net") - _added(rows, "payment_now")
    assert carried == _added(rows, "carried_forward")


def test_money_is_negative_where_the_party_owes_it_and_points_where_they_were_given_back() -> None:
    rows = _csv(_statement("telecom"))
    shown = {
        (row["origin"], row["redeemer"], row["belongs_to"], row["points"], row["amount"])
        for row in rows
        if row["section"] in ("line", "correction") and row["points"]
    }
    assert ("telecom", "retail", "2017-04", "1200", "-36.00") in shown
    assert ("retail", "telecom", "2017-04", "300", "6.00") in shown
    assert ("telecom", "retail", "2017-03", "-200", "6.00") in shown
    (balance,) = [row for row in rows if row["section"] == "balance"]
    assert Decimal(balance["you_owe"]) < 0 < Decimal(balance["owed_to_you"])


def test_the_points_of_a_pair_are_those_of_its_lines() -> None:
    rows = _csv(_statement("retail"))
    redeemed = [row for row in rows if row["kind"] == "redemption"]
    assert _added(redeemed, "points") == _added(rows, "pair_points")
    of_pairs = _added(rows, "pair_owed_to_you") + _added(rows, "pair_you_owe")
    assert of_pairs == _added(rows, "net")


def test_a_net_passed_through_names_no_origin_and_no_redeemer() -> None:
    passed = [row for row in _csv(_statement("wine")) if row["path"] == "passed through"]
    ((row,)) = passed
    assert (row["origin"], row["redeemer"], row["kind"]) == ("", "", "")
    assert (row["indirect_party"], row["settles_through"]) == ("wine", "telecom")


def test_what_rounding_left_is_in_no_column_that_has_it_already() -> None:
    line = LineRow(
        "rounding", "redemption", "telecom", "retail", None, None, -3, "CNY", INCLUDED
    )  # fmt: skip
    statement = replace(_statement("house"), lines=(line,))
    (row,) = [row for row in _csv(statement) if row["section"] == "line"]
    assert (row["rounding"], row["amount"]) == ("-0.03", "")


def test_a_party_without_any_movement_has_a_row_that_says_whose_file_it_is() -> None:
    (row,) = _csv(_statement("nobody", "Nobody"))
    assert (row["section"], row["window"], row["party"], row["party_name"]) == (
        "statement", "2017-04", "nobody", "Nobody",
    )  # fmt: skip


def test_times_are_local_with_their_offset_and_follow_summer_time() -> None:
    summer = replace(WINDOW, opens_offset_s=3_600, closes_offset_s=7_200)
    statement = replace(_statement(), window=summer)
    local = ("2017-03-31T17:00:00+01:00", "2017-04-30T18:00:00+02:00")
    assert {(row["opens_at"], row["closes_at"]) for row in _csv(statement)} == {local}
    found = json.loads(json_file.render(statement))
    assert (found["opens_at"], found["closes_at"]) == local
    assert _sheet(statement, "Summary")["A3"].value == (
        "From 2017-03-31 17:00+01:00 to 2017-04-30 18:00+02:00"
    )


@pytest.mark.parametrize("name", ["Summary", "Lines", "Corrections", "Matrix"])
def test_a_heading_stands_over_its_numbers_and_stays_in_sight(name: str) -> None:
    sheet = _sheet(_statement(), name)
    top = 5 if name == "Summary" else 1
    assert sheet.freeze_panes == f"A{top + 1}"
    for head, cell in zip(sheet[top], sheet[top + 1], strict=True):
        is_number = isinstance(cell.value, int | float)
        assert (head.alignment.horizontal == "right") is is_number, head.value


def test_a_column_is_as_wide_as_what_is_in_it() -> None:
    sheet = _sheet(_statement(), "Lines")
    for column in sheet.iter_cols():
        longest = max(len(str(cell.value)) for cell in column if cell.value is not None)
        assert sheet.column_dimensions[column[0].column_letter].width > longest


@pytest.mark.parametrize(
    "name",
    [
        *("format_1.csv", "format_1.json", "format_1.xlsx"),
        *("format_2.csv", "format_2.json", "format_2.xlsx"),
        *("format_3.csv", "format_3.json", "format_3.xlsx"),
    ],
)
def test_a_statement_is_written_again_byte_for_byte_in_the_format_it_was_issued_in(
    name: str,
) -> None:
    number, ending = int(name[len("format_")]), name.partition(".")[2]
    offset = None if number == 1 else 8 * 3600
    window = replace(WINDOW, statement_format=number, opens_offset_s=offset, closes_offset_s=offset)
    statement = build(example(), window, "retail", "Retail")
    assert write_document(statement, ending) == (GOLDEN / name).read_bytes()


def test_every_format_can_be_written_that_statements_were_ever_issued_in() -> None:
    numbers = {number for format_ in FORMATS.values() for number in format_.renders}
    assert numbers == set(range(1, STATEMENT_FORMAT + 1))
    assert {f"format_{number}.{ending}" for number in numbers for ending in FORMATS} == {
        path.name for path in GOLDEN.iterdir()
    }


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_byte_order_mark_comes_before_the_csv_that_is_issued_without(number: int) -> None:
    statement = replace(_statement(), window=replace(WINDOW, statement_format=number))
    content = write_document(statement, "csv")
    assert not content.startswith(BOM)
    assert write_document(statement, "csv", bom=True) == BOM + content


def test_the_windows_digest_stands_once_in_every_format() -> None:
    text = bytes(range(32)).hex()
    (row,) = [row for row in _csv(_statement()) if row["window_digest"]]
    assert (row["section"], row["window_digest"]) == ("statement", text)
    assert json.loads(json_file.render(_statement()))["window_digest"] == text
    cells = [row[0].value for row in _sheet(_statement(), "Summary").iter_rows()]
    assert cells[-1] == f"Digest of the window: {text}"


def test_the_json_gives_amounts_in_minor_units_and_in_words() -> None:
    found = json.loads(json_file.render(_statement()))
    assert (found["window"], found["party"], found["closes_at"]) == (
        "2017-04", "retail", "2017-05-01T00:00:00+08:00",
    )  # fmt: skip
    assert found["summary"][0]["receivable"] == 2_750
    assert found["summary"][0]["receivable_text"] == "27.50"
    assert {"points", "price", "amount", "amount_text"} <= found["lines"][0].keys()


@pytest.mark.parametrize(
    ("price", "text"),
    [("0.010000", "0.01"), ("0.008", "0.008"), ("0", "0.00"), ("0.000000", "0.00"),
     ("12.5", "12.50"), ("0.000001", "0.000001"), ("100", "100.00")],
)  # fmt: skip
def test_a_price_is_written_with_the_digits_it_needs(price: str, text: str) -> None:
    assert price_text(Decimal(price)) == text
