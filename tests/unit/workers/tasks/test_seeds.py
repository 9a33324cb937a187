import pytest

from workers.tasks import derive_seed, derive_unit


def test_parts_do_not_run_together() -> None:
    assert derive_seed("a", "bc") != derive_seed("ab", "c")


def test_units_are_uniform() -> None:
    draws = [derive_unit("u", i) for i in range(4000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=4 * (1 / 12 / 4000) ** 0.5)
