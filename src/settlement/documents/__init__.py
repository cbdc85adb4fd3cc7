"""A statement as a file, one format a module: each turns the same tables into the same bytes."""
