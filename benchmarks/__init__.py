"""The benchmark: how fast the ledger is beside what the same PostgreSQL does on the same machine.

Run by `python -m benchmarks`. It starts everything it measures and leaves only its figures behind.
"""
