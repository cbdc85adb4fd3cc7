"""The kinds of rule by which points are earned: one module each, a line each in table.py. Pure."""
