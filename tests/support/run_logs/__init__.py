"""Logs of runs, as the programs that write such have written them (`make.py`)."""
