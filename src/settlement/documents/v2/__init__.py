"""Format 2 of statements, as windows netted by it were issued. Frozen: its files keep their bytes.

Nothing here is mended, however odd: a window's statement is written again exactly as it was sent.
"""
