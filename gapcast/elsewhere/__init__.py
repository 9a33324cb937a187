"""Runs that other programs train, as observations (docs/elsewhere.md)."""

from gapcast.elsewhere.rows import Counts, Row, Run, gap_of_probe, import_command, keep, keep_row

__all__ = ["Counts", "Row", "Run", "gap_of_probe", "import_command", "keep", "keep_row"]
