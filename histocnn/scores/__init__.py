"""Score files: a row per patch, a score per class."""
