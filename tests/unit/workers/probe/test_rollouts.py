"""What is remembered is what was drawn, and a memory that fails costs time and nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.engines import Request, Sample, Sampling
from workers.engines.transformers import TransformersEngine
from workers.sampling import rollouts
from workers.sampling.rollouts import RememberingEngine, RolloutStore

SAMPLING = Sampling(1.0, 1.0, 8)
SAMPLE = Sample((1, 2), "é\n\x00", truncated=True, logprobs=(-0.5, -1.25))


def requests(engine: TransformersEngine, seed: int = 0, n: int = 3) -> list[Request]:
    return [Request(engine.encode(prompt), n, seed) for prompt in ("047+985=", "001+002=")]


def test_a_sample_comes_back_as_it_was(tmp_path: Path) -> None:
    RolloutStore(tmp_path / "new" / "r.sqlite").write([("a", [SAMPLE]), ("b", [])])
    assert RolloutStore(tmp_path / "new" / "r.sqlite").read(["a", "b", "c"]) == {"a": [SAMPLE], "b": []}


def test_more_keys_than_a_query_takes(tmp_path: Path) -> None:
    store = RolloutStore(tmp_path / "r.sqlite")
    keys = [str(number) for number in range(1203)]
    store.write([(key, [SAMPLE]) for key in keys])
    assert set(store.read(keys)) == set(keys)


def test_the_oldest_are_forgotten_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "MOST_BYTES", 100_000)
    store = RolloutStore(tmp_path / "r.sqlite")
    for number in range(300):
        store.write([(str(number), [Sample(tuple(range(400)), str(number) * 300, False)])])
    kept = sorted(int(key) for key in store.read([str(number) for number in range(300)]))
    assert 20 < len(kept) < 290
    assert kept == list(range(kept[0], 300))


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    file = tmp_path / "r.sqlite"
    file.write_bytes(content)
    store = RolloutStore(file)
    assert store.read(["a"]) == {}
    assert capsys.readouterr().err.count("rollouts are not remembered") == 1
    store.write([("a", [SAMPLE])])
    assert RolloutStore(file).read(["a"]) == {"a": [SAMPLE]}
    assert file.with_name("r.sqlite.damaged").read_bytes().startswith(content[:10])


@pytest.mark.parametrize(
    "changed",
    [
        {"sampling": Sampling(0.9, 1.0, 8)},
        {"sampling": Sampling(1.0, 0.9, 8)},
        {"sampling": Sampling(1.0, 1.0, 9)},
        {"sampling": Sampling(1.0, 1.0, 8, ("1",))},
        {"seed": 1},
        {"n": 4},
        {"logprobs": True},
        {"model": {"model": "m", "revision": "2"}},
    ],
    ids=str,
)
def test_whatever_a_sample_depends_on_makes_it_another(
    engine: TransformersEngine, tmp_path: Path, changed: dict[str, object]
) -> None:
    given: dict[str, object] = {"model": {"model": "m", "revision": "1"}, "seed": 0, "n": 3, "logprobs": False}
    given |= {"sampling": SAMPLING}

    def draw(**what: object) -> RememberingEngine:
        remembering = RememberingEngine(engine, RolloutStore(tmp_path / "r.sqlite"), what["model"])
        asked = requests(engine, what["seed"], what["n"])
        remembering.generate(asked, what["sampling"], logprobs=what["logprobs"])
        return remembering

    assert draw(**given).drawn == 6
    again = draw(**given)
    assert (again.drawn, again.reused) == (0, 6)
    assert draw(**{**given, **changed}).reused == 0


def test_only_what_is_new_is_drawn_and_the_order_is_kept(engine: TransformersEngine, tmp_path: Path) -> None:
    store = RolloutStore(tmp_path / "r.sqlite")
    first, second = requests(engine)
    third = Request(engine.encode("500+500="), 2, 9)
    RememberingEngine(engine, store, {}).generate([second], SAMPLING)
    remembering = RememberingEngine(engine, store, {})
    reported: list[int] = []
    found = remembering.generate([first, second, third], SAMPLING, report=reported.append)
    assert found == engine.generate([first, second, third], SAMPLING)
    assert (remembering.drawn, remembering.reused, sum(reported)) == (5, 3, 8)


def test_what_was_drawn_before_a_crash_is_there(
    engine: TransformersEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts, "FEWEST", 10)
    monkeypatch.setattr(rollouts, "SLICE_SECONDS", 0.0)
    store = RolloutStore(tmp_path / "r.sqlite")
    asked = [Request(engine.encode(f"{number:03d}+001="), 4, number) for number in range(20)]
    calls = 0

    class Inner:
        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def generate(self, requests: Any, *rest: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KeyboardInterrupt
            return engine.generate(requests, *rest, **named)

    with pytest.raises(KeyboardInterrupt):
        RememberingEngine(Inner(), store, {}).generate(asked, SAMPLING)
    again = RememberingEngine(engine, store, {})
    assert again.generate(asked, SAMPLING) == engine.generate(asked, SAMPLING)
    assert (again.reused, again.drawn) == (3 * 8, 80 - 3 * 8)  # slices of two requests: three would be more than ten


def test_many_workers_open_the_file_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from workers.engines import Sample;"
        "from workers.sampling.rollouts import RolloutStore;"
        "s = RolloutStore(Path(sys.argv[1]));"
        "[s.write([(f'{sys.argv[2]}-{i}', [Sample((1,), 'a', False)])]) for i in range(20)]"
    )
    file = tmp_path / "r.sqlite"
    made = [
        subprocess.Popen([sys.executable, "-c", script, str(file), str(number)], stderr=subprocess.PIPE)
        for number in range(4)
    ]
    assert [process.communicate()[1] for process in made] == [b""] * 4
    keys = [f"{number}-{i}" for number in range(4) for i in range(20)]
    assert set(RolloutStore(file).read(keys)) == set(keys)
