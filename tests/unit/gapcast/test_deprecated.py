"""Old names warn, name the new one, and do what they did."""

import importlib
import subprocess
import sys
from operator import attrgetter
from typing import Any

import pytest

from gapcast import Client
from gapcast.client.deprecated import LISTS, METHODS, MODULES

Row = dict[str, Any]


@pytest.mark.parametrize("old", METHODS)
def test_an_old_method_names_one_that_is_there(old: str) -> None:
    with Client("http://127.0.0.1:9") as client:
        assert callable(attrgetter(METHODS[old])(client))
        with pytest.warns(DeprecationWarning, match=rf"Client\.{old} is deprecated\. Use Client\.{METHODS[old]}\."):
            assert callable(getattr(client, old))


@pytest.mark.parametrize("old", LISTS)
def test_an_old_list_names_one_that_is_there(old: str) -> None:
    with Client("http://127.0.0.1:9") as client:
        assert callable(attrgetter(LISTS[old][0])(client))
        with pytest.warns(DeprecationWarning, match=f"{old} is deprecated"):
            getattr(client, old)


def test_a_name_that_never_was_is_none() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(AttributeError, match="create_observation"):
        client.create_observation  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_calls_do_what_they_did(connected: Any, pool: str, row: Row) -> None:
    ids = connected.add_observations([row | {"external_id": str(n)} for n in range(130)], pool).ids
    assert [one.id for one in connected.list_observations(120, pool=pool)] == ids[:9:-1]
    assert [one.id for one in connected.list_observations(pool=pool)] == ids[:109:-1]
    assert [one.id for one in connected.list_observations(2, ids[3], "asc", pool=pool)] == ids[4:6]
    assert pool in [one.name for one in connected.pools()]
    assert connected.current_fit(pool).n == 130
    asked = {"model": {"name": "Qwen3-8B", "family": "qwen3"}, "task": "livecodebench", "pool": pool}
    gap = {"value": 0.2, "se": 0.02, "student": 0.4}
    prediction = connected.create_prediction(configuration=asked | {"context": {"kind": "feedback"}, "gap": gap})
    assert connected.get_prediction(prediction.id) == prediction
    assert [one.type for one in connected.events(prediction.id)][-1] == "prediction.succeeded"
    assert {one.name for one in connected.list_tasks()} >= {"lab/addition"}


@pytest.mark.filterwarnings("error")
def test_calling_a_resource_warns(connected: Any) -> None:
    with pytest.raises(DeprecationWarning, match=r"Client\.pools\.list"):
        connected.pools()
    with pytest.raises(DeprecationWarning, match=r"Client\.predictions\.events"):
        connected.events("pred_1")


@pytest.mark.parametrize(("old", "name"), [("gapcast.trl", "ObservationCallback"), ("gapcast.verl", "app")])
def test_a_module_that_has_moved_hands_out_what_it_had(old: str, name: str) -> None:
    pytest.importorskip("transformers")
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=MODULES[old]):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(MODULES[old]), name)
    with pytest.raises(AttributeError, match=f"{old}.* has no attribute 'nosuch'"):
        module.nosuch  # noqa: B018


@pytest.mark.parametrize(("module", "warns"), [("gapcast.verl", True), ("gapcast.elsewhere.verl", False)])
def test_the_command_for_verl_is_there_under_both_names(module: str, warns: bool) -> None:
    done = subprocess.run([sys.executable, "-P", "-m", module, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, "--generations" in done.stdout) == (0, True)
    assert ("Use gapcast.elsewhere.verl" in done.stderr) is warns
