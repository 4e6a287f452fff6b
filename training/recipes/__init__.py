"""Whole programs of several stages: the demo, the ablation, the nano model."""
