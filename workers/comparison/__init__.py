"""Comparisons: rounds of one model's configurations, in one child that loads the model once."""
