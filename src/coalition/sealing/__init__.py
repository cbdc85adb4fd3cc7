"""Under keys that the database does not know: what it may not make, and what it may not read."""
