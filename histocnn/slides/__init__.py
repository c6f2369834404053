"""Pixels and geometry of slides; nothing here imports torch."""
