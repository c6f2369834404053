"""Scores in the formats of other tools.

Everything is in level-0 pixels, cut at the slide's edge, and written whole or not at all. Patches
that were not scored are no objects; in tables and rasters they are empty or NaN, never zero.
"""
