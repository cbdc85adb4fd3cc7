"""`coalition verify`: every rule of the ledger, every digest, every closed window, every anchor."""

from coalition.verify.check import AGREED, BREACHES_MAX, MOVEMENTS, WINDOWS, Breach, verify
from coalition.verify.memory import MEMORY
from coalition.verify.rewards import REWARDS
from coalition.verify.rules import RULES as SUMS
from coalition.verify.rules import Rule
from coalition.verify.sides import SIDES
from coalition.verify.validity import VALIDITY

RULES = (*SUMS, *SIDES, *VALIDITY, *MEMORY, *REWARDS)
# Everything that is checked whatever there is, in words; each closed window follows.
SAID = (*(rule.says for rule in RULES), MOVEMENTS, AGREED, WINDOWS)

__all__ = ["BREACHES_MAX", "RULES", "SAID", "Breach", "Rule", "verify"]
