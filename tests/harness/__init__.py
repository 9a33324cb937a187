"""Evaluation tools of others, and the libraries that make tasks, as they are; `make test-harness`."""
