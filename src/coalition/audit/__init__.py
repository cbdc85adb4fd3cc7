"""Who did what: how whoever acts is spelt, and the table of acts, which is appended to only."""
