"""Merchants: their files, their rows, their keys."""
