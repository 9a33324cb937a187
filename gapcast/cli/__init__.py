"""The `gapcast` command: one module a command."""
