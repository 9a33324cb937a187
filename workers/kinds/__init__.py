"""The kinds of jobs: where each kind's configuration comes from, and where what its child says goes."""

from workers.kinds.kind import Kind
from workers.kinds.probing import Probing
from workers.kinds.training import Training

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Probing(), Training())}

__all__ = ["KINDS", "Kind"]
