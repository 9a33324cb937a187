"""Scorers of tasks that another library has made; each is a plugin that comes with Gapcast."""
