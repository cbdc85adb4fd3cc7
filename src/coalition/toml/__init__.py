"""A TOML document with its lines: fields read one by one, mistakes with file and line."""
