"""Points between members and merchants: lots, burns, legs, and what they owe."""
