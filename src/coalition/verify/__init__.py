"""`coalition verify`: every rule of the ledger, every digest, every closed window, every anchor."""

from coalition.verify.check import BREACHES_MAX, Breach, verify
from coalition.verify.rules import RULES as SUMS
from coalition.verify.rules import Rule
from coalition.verify.sides import SIDES

RULES = (*SUMS, *SIDES)

__all__ = ["BREACHES_MAX", "RULES", "Breach", "Rule", "verify"]
