"""The HTTP edge: parsing, keys and scopes, opaque ids, problem documents. It decides nothing."""
