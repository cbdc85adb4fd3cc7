"""Files of many rows: taken in, posted through the ledger's door in large groups, results kept."""
