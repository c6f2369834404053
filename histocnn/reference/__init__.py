"""Labelled features to compare with: k-NN, novelty, colour alone, a linear probe."""
