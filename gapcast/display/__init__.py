"""Answers as a notebook shows them: small tables of HTML, and charts where altair is installed."""
