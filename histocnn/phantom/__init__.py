"""Synthetic H&E slides whose truth is known."""
