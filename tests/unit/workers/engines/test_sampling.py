import numpy as np
import pytest

from workers.engines.sampling import uniforms


@pytest.mark.parametrize("seed", [0, 7, (1 << 32) - 1, 1 << 40, (1 << 63) - 1])
def test_a_row_s_numbers_are_those_of_its_own_seed(seed: int) -> None:
    rows = uniforms([(seed, k) for k in (0, 3, 1)] + [(seed + 1, 0)], 5).numpy()
    for row, (own, k) in zip(rows, [(seed, 0), (seed, 3), (seed, 1), (seed + 1, 0)], strict=True):
        fresh = np.random.Generator(np.random.Philox(np.random.SeedSequence((own, k))))
        assert (row == fresh.random(5, dtype=np.float32)).all()
