"""Money owed between parties: obligations, netting, windows, statements. Knows no points."""
