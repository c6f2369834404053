"""Figures of merit computed from arrays; numpy, scipy and scikit-learn only."""
