"""Lots, burns, legs and the one door through which every movement of points goes."""
