"""What an answer rests on, and what a run still lacks."""

import pytest
from fastapi.testclient import TestClient

from gapcast.contract.base import JsonObject

LEVEL_2: JsonObject = {"kind": "hints", "options": {"level": 2}}
HALF_WRONG: JsonObject = {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}}


def ask(client: TestClient, **change: object) -> JsonObject:
    body: JsonObject = {
        "model": {"name": "lab/addition-qwen3-s"},
        "task": "lab/addition",
        "context": LEVEL_2,
        "gap": {"value": 0.2, "se": 0.02, "student": 0.3},
    }
    answer = client.post("/v1/predictions", json=body | change)
    assert answer.status_code == 200, answer.text
    found: JsonObject = answer.json()
    return found


def lacking(answer: JsonObject) -> list[str]:
    return [one["code"] for one in answer["support"]["missing"]]


@pytest.mark.parametrize(
    ("change", "verdict", "codes"),
    [
        ({}, "train", []),
        ({"recipe": {"steps": 200}}, "train", []),
        ({"recipe": {"steps": 1}}, "pilot", ["dose_outside"]),
        ({"recipe": {"steps": 100_000}}, "pilot", ["dose_outside"]),
        ({"recipe": {"learning_rate": 1e-6}}, "pilot", ["tuning_new"]),
        ({"recipe": {"lora_rank": 8}}, "pilot", ["tuning_new"]),
        ({"recipe": {"teacher": "ema"}}, "pilot", ["few_runs"]),
        ({"recipe": {"teacher": "ema", "ema_rate": 0.5}}, "pilot", ["live_teacher", "few_runs"]),
        ({"recipe": {"teacher": "live"}}, "pilot", ["live_teacher", "few_runs"]),
        ({"task": "another"}, "pilot", ["few_runs"]),
        ({"context": HALF_WRONG}, "undecided", ["context_gained_little"]),
        ({"context": HALF_WRONG, "recipe": {"steps": 50}}, "undecided", ["context_gained_little"]),
        ({"context": HALF_WRONG, "recipe": {"steps": 225}}, "undecided", ["context_gained_little"]),
        ({"context": HALF_WRONG, "recipe": {"steps": 226}}, "undecided", ["dose_outside"]),
        ({"context": HALF_WRONG, "recipe": {"divergence": "reverse_kl"}}, "pilot", ["few_runs"]),
        ({"context": {"kind": "placebo", "options": {"of": "hints"}}}, "undecided", ["control_context"]),
        (
            {"context": {"kind": "none"}, "gap": {"value": 0.5, "se": 0.01, "student": 0.3}},
            "undecided",
            ["control_context", "context_gained_little"],
        ),
    ],
)
def test_a_run_is_advised_where_stored_runs_cover_it(
    client: TestClient, change: JsonObject, verdict: str, codes: list[str]
) -> None:
    answer = ask(client, **change)
    assert (answer["verdict"], lacking(answer)) == (verdict, codes)


def test_runs_with_a_live_teacher_are_stored_and_at_best_a_pilot_follows(client: TestClient) -> None:
    rows: list[JsonObject] = [
        {
            **{"family": "f", "model": "m", "task": "lab/addition", "context_kind": "hints", "baseline": 0.3},
            "recipe": {"divergence": "forward_kl", "steps": 150, "learning_rate": 5e-4} | teacher,
            "training_problems": 128,
            **{"gap": {"value": gap, "se": 0.02}, "improvement": {"value": gap, "se": 0.02}},
        }
        for gap in (0.1, 0.2, 0.3)
        for teacher in ({"teacher": "live"}, {"teacher": "ema", "ema_rate": 0.5}, {"teacher": "frozen"})
    ]
    stored = client.post("/v1/observations?pool=mine", json={"observations": rows}).json()
    cells = {client.get(f"/v1/observations/{one}").json()["cell"] for one in stored["ids"]}
    assert cells == {"f|lab/addition|live-forward_kl", "f|lab/addition|frozen-forward_kl"}
    about: JsonObject = {"pool": "mine", "model": {"name": "m", "family": "f"}}
    frozen = ask(client, **about)
    assert (frozen["verdict"], lacking(frozen)) == ("train", [])
    live, ema = (ask(client, **about, recipe=row["recipe"]) for row in rows[:2])
    for answer in (live, ema):
        assert (answer["verdict"], lacking(answer)) == ("pilot", ["live_teacher"])
        assert (answer["support"]["cell_runs"], answer["law"]["n"]) == (6, 6)
    assert "18.8 %, against 53.9 %" in live["support"]["missing"][0]["message"]
    assert live["improvement"] == ema["improvement"]


@pytest.mark.slow
def test_only_runs_as_long_and_of_the_recipe_class_speak_against_a_context(client: TestClient) -> None:
    """Of a context that gained little in short runs, and under another teacher, a long run may still be advised."""
    recipe: JsonObject = {"teacher": "frozen", "divergence": "forward_kl", "learning_rate": 5e-4}
    context: JsonObject = {"kind": "hints", "options": {"level": 2}}
    rows = [
        {
            **{"family": "f", "model": "m", "task": "mine", "context_kind": "hints", "baseline": 0.3},
            **{"context": {"level": level}, "training_problems": 128, "recipe": recipe | change},
            "gap": {"value": gap, "se": 0.02},
            "improvement": {"value": gain, "se": 0.02},
        }
        for level, gap, gain, change in (
            (2, 0.2, 0.0, {"steps": 20}),
            (2, 0.2, 0.01, {"steps": 20}),
            (2, 0.2, 0.0, {"steps": 150, "teacher": "ema"}),
            (2, 0.2, 0.01, {"steps": 150, "teacher": "ema"}),
            (1, 0.15, 0.16, {"steps": 150}),
            (3, 0.25, 0.26, {"steps": 150}),
            (4, 0.3, 0.32, {"steps": 150}),
        )
    ]
    assert client.post("/v1/observations?pool=mine", json={"observations": rows}).status_code == 201
    about: JsonObject = {"pool": "mine", "model": {"name": "m", "family": "f"}, "task": "mine", "context": context}
    long, short, ema = (
        lacking(ask(client, **about, recipe=recipe | change))
        for change in ({"steps": 150}, {"steps": 30}, {"steps": 150, "teacher": "ema"})
    )
    assert "context_gained_little" not in long
    assert "context_gained_little" in short
    assert "context_gained_little" in ema
    near = ask(client, **about, recipe=recipe | {"steps": 150})["support"]["nearest"]
    assert {run["recipe_class"] for run in near if run["pool"] == "mine"} == {"frozen-forward_kl", "ema-forward_kl"}


@pytest.mark.slow
def test_a_mode_without_runs_is_at_best_a_pilot(client: TestClient) -> None:
    recipe = {"teacher": "frozen", "divergence": "forward_kl", "steps": 150, "learning_rate": 5e-4}
    rows: list[JsonObject] = [
        {
            **{"family": "f", "model": "m", "task": "lab/addition", "baseline": 0.3, "recipe": recipe},
            **{"context_kind": "hints", "context": {"level": 2}, "training_problems": 128},
            "gap": {"value": gap, "se": 0.02, "thinking": True},
            "improvement": {"value": gap, "se": 0.02, "thinking": True},
        }
        for gap in (0.1, 0.2, 0.3)
    ]
    assert client.post("/v1/observations?pool=mine", json={"observations": rows}).status_code == 201
    about: JsonObject = {"pool": "mine", "model": {"name": "m", "family": "f"}}
    plain, thinking = (ask(client, **about, decoding={"thinking": mode}) for mode in (False, True))
    assert (thinking["verdict"], lacking(thinking), thinking["support"]["known"]) == ("train", [], "configuration")
    assert (plain["verdict"], lacking(plain), plain["support"]["known"]) == ("pilot", ["mode_new"], "family")
    assert "measured with thinking, and this one is asked without thinking" in plain["support"]["missing"][0]["message"]
    assert "cold_cell" not in [one["code"] for one in plain["warnings"]]
    assert (plain["support"]["cell_runs"], thinking["support"]["cell_runs"]) == (0, 3)
    assert [run["same"] for run in plain["support"]["nearest"][:3]] == ["context"] * 3
    apart = ask(client, **about, decoding={"teacher": {"thinking": True}, "evaluation": {"thinking": True}})
    assert (apart["verdict"], lacking(apart)) == ("pilot", ["mode_new"])
    told = apart["support"]["missing"][0]["message"]
    assert "with the student not thinking, the teacher thinking and the evaluated student thinking" in told
    for row in rows:
        row["gap"] |= {"thinking": False, "teacher_thinking": True}
    assert client.post("/v1/observations?pool=mine", json={"observations": rows}).status_code == 201
    apart = ask(client, **about, decoding={"teacher": {"thinking": True}, "evaluation": {"thinking": True}})
    assert (apart["verdict"], lacking(apart), apart["support"]["cell_runs"]) == ("train", [], 3)
    assert ask(client, **about, decoding={"thinking": True})["support"]["cell_runs"] == 3, "the other cell is as it was"


def test_the_most_alike_runs_come_first(client: TestClient) -> None:
    near = ask(client)["support"]["nearest"]
    assert [run["same"] for run in near] == ["run", "run", "context", "kind", "kind"]
    assert {run["model"] for run in near[:2]} == {"lab/addition-qwen3-s"}
    stored = client.get(f"/v1/observations/{near[0]['observation_id']}").json()
    assert (stored["context"]["options"]["level"], stored["improvement"]["value"]) == (
        2,
        near[0]["improvement"]["value"],
    )


def test_the_same_run_comes_before_one_that_was_tuned_otherwise(client: TestClient) -> None:
    near = ask(client, recipe={"steps": 20})["support"]["nearest"]
    assert [run["same"] for run in near][:3] == ["configuration", "configuration", "context"]


def test_runs_of_every_pool_are_looked_at(client: TestClient) -> None:
    run: JsonObject = {"family": "f", "model": "m", "task": "lab/addition", "context_kind": "all", "baseline": 0.3}
    run |= {"gap": {"value": 0.2, "se": 0.02}, "improvement": {"value": 0.1, "se": 0.02}}
    client.post("/v1/observations?pool=mine", json={"observations": [run]})
    near = ask(client, context={"kind": "all"})["support"]["nearest"]
    assert "mine" in {run["pool"] for run in near}


def test_what_is_known_of_the_question(client: TestClient) -> None:
    known = {
        name: ask(client, **change)["support"]["known"]
        for name, change in {
            "configuration": {},
            "context": {"model": {"name": "lab/addition-qwen3-x", "family": "lab-qwen3"}, "pool": "lab"},
            "cell": {"context": {"kind": "hints"}},
            "family": {"task": "another"},
            "unlike": {"model": {"name": "m", "family": "other"}, "pool": "lab"},
        }.items()
    }
    assert known == {name: name for name in known}


def test_held_out_problems_have_an_answer_of_their_own(client: TestClient) -> None:
    on_train = ask(client)
    assert on_train["held_out"]["verdict"] == "undecided"
    assert "only_on_training_problems" in [one["code"] for one in on_train["warnings"]]
    on_held_out = ask(client, verdict_on="held_out")
    assert on_held_out["verdict"] == "undecided"
    assert on_held_out["improvement"] == on_train["improvement"]


def test_collapses_are_counted_up_to_the_asked_steps(client: TestClient) -> None:
    support = ask(client)["support"]
    assert (support["collapsed_runs"], support["compared_runs"], support["steps"]) == (0, 36, [51, 150])
    longer = ask(client, recipe={"steps": 1000})
    assert longer["support"]["compared_runs"] == 0
    assert longer["improvement"]["p_collapse"] == 0.05


def test_a_family_that_is_written_otherwise_is_told(client: TestClient) -> None:
    answer = ask(client, model={"name": "m", "family": "Lab_Qwen3"}, pool="lab")
    assert "similar_family" in [one["code"] for one in answer["warnings"]]
    assert answer["verdict"] != "train"


def test_published_runs_make_a_first_answer_on_held_out_problems_narrow(client: TestClient) -> None:
    asked = {"name": "m", "family": "a family of mine"}
    answer = ask(client, model=asked, task="mine", context={"kind": "reference_solution"})
    on_train, on_held_out = (
        found["intervals"][1] for found in (answer["improvement"], answer["held_out"]["improvement"])
    )
    assert on_held_out["upper"] - on_held_out["lower"] < 0.6 * (on_train["upper"] - on_train["lower"])
    assert (answer["verdict"], lacking(answer), answer["held_out"]["n"]) == ("pilot", ["few_runs"], 0)
