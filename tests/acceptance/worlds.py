"""How simulated problems are answered: the generating process of LAW's acceptance tables."""

import os

import numpy as np
from scipy.special import expit

FULL = os.environ.get("GAPCAST_LAW_FULL") == "1"
PROBES = 4

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
CENTRES = np.linspace(-16, 16, 4001)
STUDENT_SD, ARM_SD = 2.0, 5**0.5


def accuracy_table(sd):
    return expit(CENTRES[:, None] + sd * NODES) @ (WEIGHTS / WEIGHTS.sum())


STUDENT_TABLE, ARM_TABLE = accuracy_table(STUDENT_SD), accuracy_table(ARM_SD)


def arms(rng, problems, rollouts, *means):
    """Accuracies per problem: the student at the first mean, other arms at the others, one set of problems."""
    centre = np.interp(means[0], STUDENT_TABLE, CENTRES)
    difficulty = rng.normal(0, STUDENT_SD, problems)
    accuracies = [rng.binomial(rollouts, expit(centre + difficulty)) / rollouts]
    for mean in means[1:]:
        chance = expit(np.interp(mean, ARM_TABLE, CENTRES) + difficulty + rng.normal(0, 1, problems))
        accuracies.append(rng.binomial(rollouts, chance) / rollouts)
    return accuracies


def difference(student, arm):
    d = arm - student
    return d, d.mean(), max(d.var(ddof=1), 1e-4) / len(d)
