"""What the process counts for Prometheus. The numbers are this process's own.

Nothing is counted by card, member or key, so that the number of series stays small.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from coalition.ledger.group_commit import GroupCommit

# Litestar adds the charset.
CONTENT_TYPE = "text/plain; version=0.0.4"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Meters:
    """Posts by operation and outcome (a code, posted or replayed), and how long they took."""

    def __init__(self, group_commit: GroupCommit) -> None:
        self.registry = CollectorRegistry()
        self._posts = Counter(
            "coalition_posts",
            "Requests that asked the ledger to move points, by outcome.",
            ["operation", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "coalition_post_seconds",
            "From the parsed request to the ledger's outcome.",
            ["operation"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        # Finding a series by its labels takes longer than counting in it.
        self._found: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._problems = Counter(
            "coalition_problems",
            "Problem documents sent, by code.",
            ["code"],
            registry=self.registry,
        )
        self._unknown_cards = Counter(
            "coalition_unknown_cards",
            "Cards asked for that there are none of, by the merchant whose key asked.",
            ["merchant"],
            registry=self.registry,
        )
        self.refused_signins = Counter(
            "coalition_refused_signins",
            "Requests whose key was missing, mistyped, unknown, revoked or past its last day.",
            registry=self.registry,
        )
        self.throttled = Counter(
            "coalition_throttled",
            "Requests and rows refused because their caller asks too fast.",
            registry=self.registry,
        )
        self.admin_acts = Counter(
            "coalition_admin_acts",
            "Changes of cards, keys, merchants and windows over HTTP, by action.",
            ["action"],
            registry=self.registry,
        )
        for name, words, read in (
            ("queued", "Requests that wait to be taken into a group.", lambda: group_commit.queued),
            ("groups", "Groups that shared a commit so far.", lambda: group_commit.groups),
            ("grouped", "Requests in those groups so far.", lambda: group_commit.posted),
        ):
            gauge = Gauge(f"coalition_{name}", words, registry=self.registry)
            gauge.set_function(read)

    def count_post(self, operation: str, outcome: str, seconds: float) -> None:
        found = self._found.get((operation, outcome))
        if found is None:
            found = self._posts.labels(operation, outcome), self._seconds.labels(operation)
            self._found[operation, outcome] = found
        posts, took = found
        posts.inc()
        took.observe(seconds)

    def count_problem(self, code: str) -> None:
        self._problems.labels(code).inc()

    def count_unknown_cards(self, merchant: str, cards: int) -> None:
        self._unknown_cards.labels(merchant).inc(cards)

    def render(self) -> bytes:
        """Everything counted, in Prometheus' text format."""
        return generate_latest(self.registry)
