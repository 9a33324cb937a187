"""Comparisons decide here: which configuration is best, and where the next problems go (docs: DESIGN, LAW part 3)."""

from service.deciding.configurations import Configuration, Decision, Known, Rules, Standing, Stop, cost
from service.deciding.rounds import decide

__all__ = ["Configuration", "Decision", "Known", "Rules", "Standing", "Stop", "cost", "decide"]
