"""Who works at the house and at merchants: what each may, what proves it, and what needs two."""
