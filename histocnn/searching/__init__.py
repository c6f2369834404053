"""Hyperparameters: a space of them, trials on folds of patients, and what came of these."""
