"""A folder of merchants as TOML files: `<code>.toml` a merchant, house.toml the house.

A merchant's terms in force from a day on are a file of their own, `<code>.<date>.toml`.

Every mistake of every file is reported at once, with its line, before anything is made of any of
them. What one file says is reading.py; keeping it in the database is store.py.
"""

import difflib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from coalition.errors import CoalitionError, Code
from coalition.terms.dating import AT_ONCE
from coalition.terms.reading import read_house, read_terms
from coalition.terms.reading_rewards import check_mixes
from coalition.terms.terms import HouseTerms, Terms
from coalition.toml.document import Mistake, Section, parse_document, sections, subsection
from settlement.obligation import HOUSE, POOL

__all__ = ["MerchantFilesError", "Mistake", "check_folder", "read_folder"]

_CODE = re.compile(r"[a-z][a-z0-9-]{0,62}")
# What a file with a date leaves to the file without one.
_NOT_DATED = (*sorted(AT_ONCE - {"prices", "pair_prices"}), "currency", "time_zone")


class MerchantFilesError(CoalitionError):
    """A folder that cannot be used. mistakes holds all of them, by file and line."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(Code.INVALID, "\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class _File:
    terms: Terms
    document: Section


def read_folder(folder: Path) -> tuple[HouseTerms, list[Terms]]:
    """The house's terms, and the merchants' in order of code, those in force from a day last.

    Raises MerchantFilesError, with every mistake there is.
    """
    house, terms, mistakes = _read(folder)
    wrong = [mistake for mistake in mistakes if not mistake.is_warning]
    if wrong or house is None:
        raise MerchantFilesError(wrong)
    return house, terms


def check_folder(folder: Path) -> list[Mistake]:
    """Every mistake and warning in the folder, by file and line; empty: all is well."""
    return _read(folder)[2]


def _read(folder: Path) -> tuple[HouseTerms | None, list[Terms], list[Mistake]]:
    if not folder.is_dir():
        return None, [], [Mistake(str(folder), None, "no such folder; name one with house.toml")]
    paths = sorted(folder.glob("*.toml"))
    mistakes: list[Mistake] = []
    house: HouseTerms | None = None
    files: dict[str, _File] = {}
    dated: list[_File] = []
    for path in paths:
        document = parse_document(str(path), path.read_bytes())
        mistakes.extend(_name_mistakes(path))
        is_toml = not document.mistakes
        if path.stem == HOUSE and is_toml:
            house = read_house(document)
        elif is_toml and (day := _day_of(path)):
            code = path.stem.partition(".")[0]
            dated.append(_File(read_terms(code, document, day), document))
        elif is_toml:
            files[path.stem] = _File(read_terms(path.stem, document), document)
        if path.stem == HOUSE or not is_toml:
            mistakes.extend(document.mistakes)
    codes = {path.stem for path in paths if not _day_of(path)} - {HOUSE, POOL}
    _check_together(files, codes)
    for file in dated:
        _check_dated(file, files, codes)
    for file in (*files.values(), *dated):
        mistakes.extend(file.document.mistakes)
    if folder / f"{HOUSE}.toml" not in paths:
        mistakes.append(
            Mistake(
                str(folder), None, f"no {HOUSE}.toml; write the house's name and calendar there"
            )
        )
    mistakes.sort(key=lambda mistake: (mistake.file, mistake.line or 0))
    return house, [files[code].terms for code in sorted(files)] + _by_day(dated), mistakes


def _name_mistakes(path: Path) -> list[Mistake]:
    if path.stem == POOL:
        return [Mistake(str(path), None, f'"{POOL}" is reserved; name the file otherwise')]
    code, dot, day = path.stem.partition(".")
    if dot and _CODE.fullmatch(code):
        if code in (HOUSE, POOL):
            message = f"terms of {code} have no dates; write them in {HOUSE}.toml"
            return [Mistake(str(path), None, message)]
        if _day_of(path) is None:
            message = f'"{day}" is not a date; name the file like {code}.2026-12-01.toml'
            return [Mistake(str(path), None, message)]
        return []
    if _CODE.fullmatch(path.stem):
        return []
    message = (
        f'"{path.stem}" is not a code; use at most 63 of a-z, 0-9 and -, beginning with a letter'
    )
    return [Mistake(str(path), None, message)]


def _day_of(path: Path) -> date | None:
    """The day that a file's name states: telecom.2026-12-01.toml; None where it states none."""
    day = path.stem.partition(".")[2]
    # fromisoformat reads 20261201 and weeks too; two names for one day would be two files for it.
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day, re.ASCII):
        return None
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None


def _by_day(dated: list[_File]) -> list[Terms]:
    return sorted((file.terms for file in dated), key=lambda one: (one.code, str(one.filed_for)))


def _check_dated(file: _File, files: dict[str, _File], codes: set[str]) -> None:
    """Note where a file with a date does not go with its merchant's file without one."""
    terms, document = file.terms, file.document
    if terms.code not in codes:
        document.note(None, f"there is no {terms.code}.toml; the merchant's own file comes first")
        return
    own = files.get(terms.code)
    if own is not None:
        for key in _NOT_DATED:
            if getattr(terms, key) != getattr(own.terms, key):
                document.note(key, f"must be as in {terms.code}.toml, which counts from its sync")
        if terms.filed_for is not None and terms.filed_for <= own.terms.joined_on:
            document.note(None, f"the merchant joined on {own.terms.joined_on}; date it later")
    for key in ("prices", "pair_prices"):
        if key in document.values:
            message = f"prices have days of their own; write them in {terms.code}.toml"
            document.note(key, message)
    _check_payers(document, codes)
    # Whether terms of different days lead round in a circle is known to the sync.
    _check_settles_through(terms.code, document, codes, {terms.code: terms.settles_through})
    check_mixes(document, codes, _unknown_merchant)


def _check_together(files: dict[str, _File], codes: set[str]) -> None:
    """Note what is wrong between files. codes: every merchant there is, readable or not."""
    currencies = {code: file.terms.currency for code, file in files.items()}
    through = {code: file.terms.settles_through for code, file in files.items()}
    for code, file in files.items():
        _check_pairs(file, codes, currencies)
        _check_payers(file.document, codes)
        _check_redeem_prices(file, files)
        _check_settles_through(code, file.document, codes, through)
        check_mixes(file.document, codes, _unknown_merchant)


def _check_pairs(file: _File, codes: set[str], currencies: dict[str, str]) -> None:
    for section in _tables(file.document, "pair_prices"):
        redeemer = section.values.get("redeemer")
        if not isinstance(redeemer, str):
            continue
        if redeemer == file.terms.code:
            section.note("redeemer", "a merchant has no price with itself; name another")
        elif redeemer not in codes:
            section.note("redeemer", _unknown_merchant(redeemer, codes))
        elif "redeem_price" not in section.values:
            theirs = currencies.get(redeemer)
            if theirs and file.terms.currency and theirs != file.terms.currency:
                section.note(
                    None,
                    f"{redeemer} is paid in {theirs} and this merchant pays in "
                    f"{file.terms.currency}; state the redeem_price in {theirs}",
                )


def _check_payers(document: Section, codes: set[str]) -> None:
    for section in _tables(document, "earn"):
        if isinstance(section.values.get("paid_by"), dict):
            payers = subsection(section, "paid_by")
            for code in payers.values.keys() - codes:
                payers.note(code, _unknown_merchant(code, codes))


def _check_redeem_prices(file: _File, files: dict[str, _File]) -> None:
    """redeem_price may be left out only where each origin's burn_price can stand in."""
    why = next(filter(None, (_why_stated(file.terms, one.terms) for one in files.values())), None)
    if why is None:
        return
    for section in _tables(file.document, "prices"):
        if "redeem_price" not in section.values:
            section.note(None, f"{why}; state the redeem_price in {file.terms.currency}")


def _why_stated(redeemer: Terms, origin: Terms) -> str | None:
    paid_in, priced_in = redeemer.currency, origin.currency
    if redeemer.code == origin.code or not paid_in or not priced_in:
        return None
    if paid_in != priced_in:
        return (
            f"{origin.code} prices its points in {priced_in} and this merchant is paid in {paid_in}"
        )
    is_prefunded = any(one.issue_price > 0 and one.burn_price == 0 for one in origin.prices)
    has_pair_price = any(pair.redeemer == redeemer.code for pair in origin.pair_prices)
    if is_prefunded and not has_pair_price:
        return f"{origin.code} pays when it issues a point and nothing when one is burned here"
    return None


def _check_settles_through(
    code: str, document: Section, codes: set[str], through: dict[str, str | None]
) -> None:
    target = through[code]
    if target is None:
        return
    settlement = subsection(document, "settlement")
    if target == code:
        settlement.note("settles_through", "a merchant cannot settle through itself; leave it out")
    elif target == HOUSE:
        settlement.note("settles_through", "everyone settles with the house; leave it out")
    elif target not in codes:
        settlement.note("settles_through", _unknown_merchant(target, codes))
    else:
        way = [code]
        while target is not None and target not in way:
            way.append(target)
            target = through.get(target)
        if target == code:
            circle = " -> ".join([*way, code])
            settlement.note("settles_through", f"{circle} goes round; end it at one of them")


def _tables(document: Section, key: str) -> list[Section]:
    """The tables [[key]]; none where reading them was a mistake noted before."""
    value = document.values.get(key, [])
    is_well_formed = isinstance(value, list) and all(isinstance(table, dict) for table in value)
    return sections(document, key) if is_well_formed else []


def _unknown_merchant(code: str, codes: set[str]) -> str:
    near = difflib.get_close_matches(code, codes, n=1)
    right = (
        f'did you mean "{near[0]}"?' if near else f"the merchants are {', '.join(sorted(codes))}"
    )
    return f'"{code}" is not a merchant of this folder; {right}'
