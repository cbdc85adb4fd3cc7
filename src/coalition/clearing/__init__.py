"""A window's legs, priced: what the points that moved make the merchants owe each other."""
