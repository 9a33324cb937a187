"""The study of our own runs: which link holds where (docs/measurements.md)."""
