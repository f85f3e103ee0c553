"""Weights read safely, from folders, the hub and transformers."""
