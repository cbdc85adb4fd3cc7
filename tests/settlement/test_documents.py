"""A statement as a file: readable back to the last cent, the same bytes each time, harmless."""

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from tests.settlement.test_statement import WINDOW, example

from settlement.documents import csv_file, json_file, xlsx_file
from settlement.documents.text import harmless, price_text
from settlement.obligation import Obligation, PathLine, Result
from settlement.statement import Statement, build


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
    text = csv_file.render(_statement(name=name)).decode()
    names = [row["what"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert f"'{name}" in names
    assert name not in names
    cell = _sheet(_statement(name=name), "Summary", data_only=False)["A2"]
    assert cell.data_type == "s"


def test_numbers_are_not_touched_by_what_makes_text_harmless() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_file.render(_statement()).decode(), newline="")))
    opening = next(row for row in rows if row["what"] == "opening")
    assert opening["amount"] == "-5.00"
    assert harmless("plain") == "plain"


def test_the_csv_holds_every_table_and_adds_up() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_file.render(_statement()).decode(), newline="")))
    assert {row["section"] for row in rows} == {
        "statement", "summary", "line", "correction", "matrix",
    }  # fmt: skip
    owed = [
        Decimal(row["amount"])
        for row in rows
        if row["section"] in ("line", "correction") and row["direction"] == "owed to you"
    ]
    receivable = next(row["amount"] for row in rows if row["what"] == "receivable")
    assert sum(owed) == Decimal(receivable) == Decimal("27.50")
    assert {row["window"] for row in rows if row["section"] == "correction"} == {
        "2017-02",
        "2017-03",
    }


def test_the_json_gives_amounts_in_minor_units_and_in_words() -> None:
    found = json.loads(json_file.render(_statement()))
    assert (found["window"], found["party"], found["closes_at"]) == (
        "2017-04", "retail", "2017-04-30T16:00:00Z",
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
