"""What is known of a person: shown, corrected, taken away, and sealed under newer keys."""
