"""Scores beside their truth: what may be judged, the figures, and what a report shows of them."""
