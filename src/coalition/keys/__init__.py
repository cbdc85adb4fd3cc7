"""API keys: what one looks like, whose it is, and what it may do."""
