"""The embedded PostgreSQL: its programs, starting and stopping it, looking after it."""
