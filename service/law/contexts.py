"""Who shares a context: the level between a leaf and its rows (docs: LAW part 3).

A context is a (leaf, context) pair, a configuration a (leaf, context, model) triple. The level is on as soon as one
context has two rows.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from service.law.leaves import IndexArray, Leaf, Leaves
from service.law.observations import FloatArray, Observations

FEWEST_ROWS = 2
"""of one context, without which nothing tells a context's effect from a run's residual"""
FEWEST_CONTEXTS = 4
"""under which the spread of contexts is little but its prior"""
SPREAD_OF_NOTHING, SMALLEST_GAP = 0.004, 0.08
"""of the dilution: the spread of a gap that is the same everywhere, and a gap below which a share means nothing"""


class Known(StrEnum):
    """How much is stored of a probe's context, where contexts are a level."""

    CONFIGURATION = "configuration"
    """Runs of this cell, context and model."""
    CONTEXT = "context"
    """Runs of this cell and context, by other models."""
    NEW = "new"
    """Nothing: its effect may be any."""


class Place(NamedTuple):
    """Where a configuration stands: its leaf, its context, its model; ``None`` where unknown."""

    leaf: Leaf
    context: str | None
    model: str | None


@dataclass(frozen=True, eq=False)
class Contexts:
    """C contexts and their J configurations, sorted by leaf, then by context.

    Attributes:
        places: J configurations. A row without a context is a context of its own, one without a model a configuration
            of its own.
        n: (J,) rows of each, those known as collapsed left out.
        context: (J,) each configuration's context.
        leaf: (C,) each context's leaf, of L.
    """

    places: tuple[Place, ...]
    n: IndexArray
    context: IndexArray
    leaf: IndexArray

    def __len__(self) -> int:
        return len(self.leaf)

    @classmethod
    def of(cls, observations: Observations, leaves: Leaves) -> tuple["Contexts", IndexArray]:
        """Find the contexts of N observations, and each one's configuration (N,)."""
        keys = zip(observations.family, observations.cell, observations.context, observations.model, strict=True)
        sorted_by = []
        for row, (family, cell, context, model) in enumerate(keys):
            leaf = leaves.place[family, cell]
            # a row's own number keeps what is unknown apart from everything else
            own_context = (context is None, context or "", row if context is None else 0)
            own_model = (context is None or model is None, model or "", row if model is None else 0)
            sorted_by.append((leaf, own_context, own_model))
        order = sorted(set(sorted_by))
        place_of = {key: place for place, key in enumerate(order)}
        configuration = np.fromiter(map(place_of.__getitem__, sorted_by), dtype=np.intp, count=len(sorted_by))
        contexts = {key: place for place, key in enumerate(dict.fromkeys(key[:2] for key in order))}
        first = {place: row for row, place in reversed(list(enumerate(configuration.tolist())))}
        places = tuple(
            Place(leaves.keys[key[0]], observations.context[first[place]], observations.model[first[place]])
            for place, key in enumerate(order)
        )
        usable = np.bincount(configuration[~observations.collapsed], minlength=len(order))
        return cls(
            places=places,
            n=usable.astype(np.intp),
            context=np.array([contexts[key[:2]] for key in order], dtype=np.intp),
            leaf=np.array([leaf for leaf, _ in contexts], dtype=np.intp),
        ), configuration

    @cached_property
    def start(self) -> IndexArray:
        """(C + 1,) where each context's configurations begin, and the end."""
        return np.searchsorted(self.context, np.arange(len(self) + 1))

    def blocks(self, most: int) -> Iterator[tuple[slice, slice]]:
        """Ranges of contexts, and of their configurations, of about ``most`` configurations each."""
        first = 0
        while first < len(self):
            last = max(first + 1, int(np.searchsorted(self.start, self.start[first] + most, side="right")) - 1)
            yield slice(first, last), slice(int(self.start[first]), int(self.start[last]))
            first = last

    @cached_property
    def known(self) -> dict[tuple[Leaf, str], int]:
        """Place of each named context with a usable row."""
        return {
            (place.leaf, place.context): int(context)
            for place, n, context in zip(self.places, self.n, self.context, strict=True)
            if place.context is not None and n
        }

    @cached_property
    def configurations(self) -> dict[Place, int]:
        """Place of each named configuration with a usable row."""
        named = (place.context is not None and place.model is not None for place in self.places)
        return {
            place: index
            for index, (place, is_named, n) in enumerate(zip(self.places, named, self.n, strict=True))
            if is_named and n
        }

    @cached_property
    def kinds(self) -> frozenset[str]:
        """Kinds of the named contexts, as far as their keys say."""
        found = (kind_of(context) for _, context in self.known)
        return frozenset(kind for kind in found if kind is not None)

    def knows(self, place: Place) -> Known:
        """How much is stored of a probe's context."""
        if place.context is None or (place.leaf, place.context) not in self.known:
            return Known.NEW
        return Known.CONFIGURATION if place in self.configurations else Known.CONTEXT


def kind_of(context: str | None) -> str | None:
    """The kind that a context's key names; ``None`` where the key is not JSON."""
    try:
        options = json.loads(context or "")
    except ValueError:
        return None
    kind = options.get("kind") if isinstance(options, dict) else None
    return kind if isinstance(kind, str) else None


def shared(observations: Observations) -> bool:
    """True if one context has two rows: then the level is on. Rows known as collapsed have no effect to share."""
    keys = zip(observations.family, observations.cell, observations.context, observations.collapsed, strict=True)
    counts = Counter((family, cell, context) for family, cell, context, gone in keys if context and not gone)
    return max(counts.values(), default=0) >= FEWEST_ROWS


def dilution(gap_spread: FloatArray, gap: FloatArray) -> FloatArray:
    """w: how unevenly a gap lies over the problems, NaN where its spread is unknown.

    A context that solves a tenth of the problems and one that helps everywhere a little can have the same gap.
    """
    return np.asarray(np.maximum(gap_spread - SPREAD_OF_NOTHING, 0) / np.maximum(gap, SMALLEST_GAP))
