"""A coalition's history brought along before it begins: members, movements, and time itself."""
