"""Samples that are drawn, verified and remembered: the same for the probe and the trainer."""
