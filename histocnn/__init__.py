"""Classify patches of whole-slide histopathology images."""

__version__ = "0.1.0"
