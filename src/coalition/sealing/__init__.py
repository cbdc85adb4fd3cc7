"""What the database may hold and not make: digests under a key that it does not know."""
