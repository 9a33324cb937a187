"""Experiments and their reports, run by hand: each says what it reproduces."""
