"""A rule of days (RFC 5545) in a merchant's file, or the house's."""

from datetime import date

from coalition.toml.document import Section, read_text
from settlement.rule import PAYMENT_RULE_COUNTS_FROM, left_out, wrong_with

RULE_EXAMPLE = '"FREQ=MONTHLY;BYMONTHDAY=1"'


def read_rule(
    section: Section, key: str, first_on: date | None = None, *, required: bool = False
) -> str | None:
    """The rule at a key, counted from first_on, else from a day that all rules share."""
    rule = read_text(section, key, required=required)
    if rule is None:
        return None
    first_on = first_on or PAYMENT_RULE_COUNTS_FROM
    if (wrong := wrong_with(rule, first_on)) is not None:
        section.note(
            key, f'"{rule}" is not a rule of days (RFC 5545): {wrong}; such as {RULE_EXAMPLE}'
        )
        return None
    if (passes_over := left_out(rule, first_on)) is not None:
        section.warn(key, f'"{rule}": {passes_over}')
    return rule
