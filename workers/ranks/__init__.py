"""One job in several processes, by torchrun."""

from workers.ranks.launch import run_on_ranks

__all__ = ["run_on_ranks"]
