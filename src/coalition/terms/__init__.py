"""A merchant's terms: reading them from files, the book in memory, what a sync changes."""
