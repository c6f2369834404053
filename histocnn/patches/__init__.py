"""Grids and image files as rows of patches: where they lie, what they show, their pixels."""
