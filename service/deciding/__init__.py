"""Comparisons decide here: which configuration is best, and where the next problems go (docs: DESIGN, LAW part 3)."""

from service.deciding.configurations import Configuration, Decision, Known, Rules, Standing, Stop, cost
from service.deciding.outlook import Outlook, outlook, run_variance
from service.deciding.planning import PILOT_SHARE, SEEDS, Limits, Plan, Planned, Prices, make_plan
from service.deciding.rounds import decide

__all__ = [
    "PILOT_SHARE",
    "SEEDS",
    "Configuration",
    "Decision",
    "Known",
    "Limits",
    "Outlook",
    "Plan",
    "Planned",
    "Prices",
    "Rules",
    "Standing",
    "Stop",
    "cost",
    "decide",
    "make_plan",
    "outlook",
    "run_variance",
]
