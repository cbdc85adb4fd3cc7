"""A merchant's file in a test: a head that is right, and the parts that the test is about."""

from coalition.earning.facts import Facts
from coalition.earning.purchase import Purchase
from coalition.earning.reckoning import Reckoning, Rules, reckon
from coalition.terms.reading import read_terms
from coalition.terms.terms import Terms
from coalition.toml.document import Mistake, parse_document

HEAD = """\
name = "Telecom"
currency = "CNY"
time_zone = "Asia/Shanghai"
joined_on = 2017-01-01
[[prices]]
effective_from = 2017-01-01
burn_price = "0.010"
"""
RATES = '[[earning.rates]]\ncategory = "*"\npoints = 1\nper = "1.00"\n'


def mistakes_in(parts: str) -> list[Mistake]:
    """What is wrong in a file of HEAD and these parts."""
    document = parse_document("telecom.toml", (HEAD + parts).encode())
    read_terms("telecom", document)
    return document.mistakes


def terms_of(parts: str) -> Terms:
    """The terms of a file of HEAD and these parts, which is right."""
    document = parse_document("telecom.toml", (HEAD + parts).encode())
    terms = read_terms("telecom", document)
    assert document.mistakes == []
    return terms


def reckoned(terms: Terms, purchase: Purchase, absent: dict[str, str] | None = None) -> Reckoning:
    return reckon(Rules(terms.code, terms.rates, terms.rules, absent or {}), purchase, Facts())


def points_by_rule(terms: Terms, purchase: Purchase) -> dict[str, int]:
    return {one.rule: one.points for one in reckoned(terms, purchase).granted}
