"""The OpenAPI document: its head, its examples, and what each route may answer."""
