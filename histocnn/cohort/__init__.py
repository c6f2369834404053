"""Which slides, whose, and in which split."""
