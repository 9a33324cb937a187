"""Plans for a budget: what to probe and what to train (adr 24)."""

from service.deciding.planning.outcomes import SEEDS
from service.deciding.planning.piloting import PILOT_SHARE
from service.deciding.planning.planner import make_plan
from service.deciding.planning.plans import Limits, Plan, Planned, Prices

__all__ = ["PILOT_SHARE", "SEEDS", "Limits", "Plan", "Planned", "Prices", "make_plan"]
