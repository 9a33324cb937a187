"""Grids and constants of the model of a run's curve (docs: LIVE, "The model")."""

import numpy as np

GRID = np.linspace(-1.0, 1.0, 401)
"""true ends over the measured baseline"""
T = np.geomspace(0.015, 1.5, 13)
BOW = np.linspace(-0.15, 0.35, 11)
BOW_SD = 0.12
TYPICAL_T = np.array([0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.40])
"""medians of T that a cell may have"""
T_CENTRE, T_CENTRE_SD, T_SD = 0.10, 0.6, 0.5
"""prior of that median, its log sd, and the log sd of a run's T around it"""

# LIVE's R, chosen on 101 real runs; they are not fitted from a user's runs: with 16 runs that was worse.
UNLIKE = 0.10
"""rho: share of runs that end anywhere"""
BEYOND_LAW = 0.10
"""omega: sd by which the law's left-out errors exceed its own"""
OWN_BOW = 0.10
"""tau_B: sd of a run's bow around its cell's"""
WALK = 0.10
"""sd of the bridge that a curve strays along"""
WOBBLE = 0.03
"""sd of a look around the curve, beyond its sampling error"""

STRAYING = np.array([0.25, 0.5, 1.0])
"""Parts of the last three sds that a cell's runs may stray by. Under a frozen teacher they hardly do: after the quick
gain the last value says it all."""
STRAYING_PRIOR = np.array([0.1, 0.2, 0.7])
"""Shares of runs that stray by each part, of a cell with finished runs; of a cold one nothing is known, and its runs
stray as runs do, by 1."""
STRAYING_RUNS = 4.0
"""runs that this prior counts as"""
STRAYING_AT = 0.3
"""Share of the steps at which finished runs show how far they stray, by one look each: many looks at a run would tell
how rough curves are, and not how far from their ends."""
TOLD_AT = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the steps whose nearest looks tell of T and bow, for the same reason: of all looks a frozen teacher's early
overshoot would pass for a bow that its runs still have to lose."""
