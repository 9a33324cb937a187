import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gapcast import Client
from gapcast.words import points, weight

pytestmark = pytest.mark.slow

Run = Callable[..., Result]


def options(**values: object) -> list[str]:
    """`gap_se=0.02` as `--gap-se 0.02`."""
    return [text for name, value in values.items() for text in (f"--{name.replace('_', '-')}", str(value))]


RUN = options(family="qwen3", task="lcb", model="Qwen3-8B", context_kind="feedback", baseline=0.4, gap=0.2)
ADD = ["observations", "add", *RUN, *options(improvement=0.25)]
ERRORS = options(gap_se=0.02, improvement_se=0.03)
CONFIGURATION = """model: {name: lab/addition-qwen3-s, revision: null}
task: lab/addition
context: {kind: hints, options: {level: 2}}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIGURATION)
    return file


class TestAdd:
    def test_stores_one_run_and_prints_its_id(self, gapcast: Run, connected: Client, pool: str) -> None:
        more = options(cov=0.0001, teacher="ema", divergence="js", parameters=8e9, external_id="r1", version="v2")
        done = gapcast(*ADD, *ERRORS, *more, "--collapsed", "--thinking", "--pool", pool)
        assert done.exit_code == 0, done.output
        stored = connected.observations.get(done.stdout.split()[-1])
        assert (stored.pool, stored.external_id, stored.version, stored.collapsed) == (pool, "r1", "v2", True)
        assert (stored.gap.se, stored.improvement.se, stored.cov, stored.parameters) == (0.02, 0.03, 0.0001, 8e9)
        assert stored.cell == "qwen3|lcb|ema-js"
        assert (stored.gap.thinking, stored.improvement.thinking) == (True, True)
        assert f"the law of {pool}" in done.stdout

    def test_problems_and_rollouts_stand_in_for_the_error_that_is_missing(
        self, gapcast: Run, connected: Client, pool: str
    ) -> None:
        done = gapcast(*ADD, *options(gap_se=0.02, problems=131, rollouts=4, pool=pool))
        assert done.exit_code == 0, done.output
        assert "Standard errors, gap: 1 given" in done.stdout
        assert "Standard errors, improvement: 1 assumed" in done.stdout
        (stored,) = connected.observations.list(pool=pool)
        assert (stored.gap.problems, stored.improvement.problems) == (None, 131)
        both = gapcast(*ADD, *ERRORS, *options(problems=131, rollouts=4, pool=pool))
        assert (both.exit_code, "Leave them out" in both.stderr) == (2, True)

    def test_what_is_refused_is_named_by_its_option(self, gapcast: Run, connected: Client, pool: str) -> None:
        done = gapcast(*ADD, *options(gap_se=0.02, teacher="ema", pool=pool))
        assert done.exit_code == 2
        lines = done.stderr.splitlines()
        assert lines[0].startswith("--divergence: expected forward_kl, reverse_kl or js, got nothing. Add it.")
        assert lines[1].startswith("--improvement-se: a value needs its standard error. Add se,")
        assert lines[2] == "Nothing was stored."
        assert pool not in [one.name for one in connected.pools.list()]

    def test_a_mistyped_prediction_is_refused(self, gapcast: Run, connected: Client, pool: str) -> None:
        done = gapcast(*ADD, *ERRORS, *options(prediction="pred_nosuch", pool=pool))
        assert (done.exit_code, "pred_nosuch" in done.stderr) == (2, True)
        assert pool not in [one.name for one in connected.pools.list()]

    def test_points_are_refused_before_the_server_is_asked(self, gapcast: Run) -> None:
        done = gapcast(*ADD, *options(gap_se=2, improvement_se=0.03, url="http://127.0.0.1:9"))
        assert done.exit_code == 2
        assert "0.02 is 2 accuracy points" in " ".join(done.stderr.replace("│", "").split())


class TestFiles:
    def test_import_says_what_became_of_the_rows(
        self, gapcast: Run, connected: Client, runs_csv: Path, pool: str
    ) -> None:
        first, again = gapcast("observations", "import", runs_csv), gapcast("observations", "import", runs_csv)
        n = connected.fits.current(pool).n
        assert first.stdout.startswith(f"Stored {n} observations.\n")
        assert f"{n} made from counts" in first.stdout
        assert again.stdout.startswith(f"Stored 0 observations; {n} existed already.\n")

    def test_a_broken_file_is_told_row_by_row(self, gapcast: Run, connected: Client, tmp_path: Path, pool: str) -> None:
        file = tmp_path / "broken.csv"
        names = "family,task,model,context_kind,baseline,gap.value,gap.se,improvement.value,improvement.se"
        good, far = "qwen3,t,m,feedback,0.4,0.2,0.02,0.2,0.02", "qwen3,t,m,feedback,40,0.2,,0.2,0.02"
        file.write_text(f"{names}\n{good}\n{far}\n")
        done = gapcast("observations", "import", file, "--pool", pool)
        assert done.exit_code == 2
        baseline, se, nothing = done.stderr.splitlines()
        advice = "A share is expected: 0.4 is 40 %."
        assert (
            baseline == f"{file}: row 2 (line 3), baseline: expected a number from 0 to 1, or null, got '40'. {advice}"
        )
        assert se.startswith(f"{file}: row 2 (line 3), gap.se: ")
        assert nothing == "Nothing was stored."
        assert pool not in [one.name for one in connected.pools.list()]

    def test_a_pool_can_be_copied(self, gapcast: Run, connected: Client, tmp_path: Path, pool: str) -> None:
        file = tmp_path / "lab.json"
        assert gapcast("observations", "export", file, "--pool", "lab", "--family", "lab-qwen3").exit_code == 0
        done = gapcast("observations", "import", file, "--pool", pool)
        assert (done.exit_code, f"the law of {pool}" in done.stdout) == (0, True)
        assert len(connected.observations.list(pool=pool).data) == len(json.loads(file.read_text())["observations"])

    @pytest.mark.parametrize("name", ["absent.csv", "runs.xlsx"])
    def test_a_file_that_cannot_be_read_is_no_traceback(self, gapcast: Run, tmp_path: Path, name: str) -> None:
        done = gapcast("observations", "import", tmp_path / name)
        assert (done.exit_code, name in done.stderr, "Traceback" in done.output) == (2, True, False)

    def test_without_a_server_nothing_was_stored(self, gapcast: Run, runs_csv: Path) -> None:
        done = gapcast("observations", "import", runs_csv, "--url", "http://127.0.0.1:9")
        assert done.exit_code == 3
        assert "Is `gapcast serve` running there?" in done.stderr
        assert done.stderr.endswith("Nothing was stored.\n")

    def test_where_an_answer_is_lost_nobody_knows(
        self, gapcast: Run, relay: Callable[..., Any], runs_csv: Path
    ) -> None:
        done = gapcast("observations", "import", runs_csv, "--url", relay(0, 0, 0).url)
        assert done.exit_code == 3
        assert "It is not known if it was stored" in done.stderr

    def test_export_tells_how_many(self, gapcast: Run, connected: Client, tmp_path: Path) -> None:
        n = len(list(connected.observations.list(pool="lab", family="lab-qwen3")))
        for ending in ("csv", "ndjson", "json", "parquet"):
            file = tmp_path / f"x.{ending}"
            done = gapcast("observations", "export", file, "--pool", "lab", "--family", "lab-qwen3")
            assert done.stdout == f"Wrote {n} observations to {file}\n"


class TestListAndExclude:
    def test_a_run_is_listed_left_out_and_taken_back(
        self, gapcast: Run, connected: Client, pool: str, row: dict[str, Any]
    ) -> None:
        (one, two) = connected.observations.create([row | {"external_id": "a"}, row | {"external_id": "b"}], pool).ids
        assert gapcast("observations", "exclude", one).exit_code == 2
        done = gapcast("observations", "exclude", one, "--reason", "wrong [evaluation] :100:")
        assert done.stdout == f"{one} is excluded from the law of {pool}: wrong [evaluation] :100:\n"
        again = gapcast("observations", "exclude", one, "--reason", "another")
        assert (again.exit_code, "excluded already" in again.stderr) == (2, True)
        listed = gapcast("observations", "list", "--pool", pool, "--excluded").stdout
        assert (one in listed, two in listed, "excluded: wrong [evaluation] :100:" in listed) == (True, False, True)
        assert gapcast("observations", "include", one).stdout == f"{one} counts in the law of {pool}.\n"
        first = gapcast("observations", "list", "--pool", pool, "--limit", "1", "--json")
        assert [found["id"] for found in json.loads(first.stdout)["data"]] == [two]
        assert first.stderr == f"There are more: --after {two}\n"
        rest = gapcast("observations", "list", "--pool", pool, "--after", two, "--json")
        assert [found["id"] for found in json.loads(rest.stdout)["data"]] == [one]
        assert rest.stderr == ""
        oldest = gapcast("observations", "list", "--pool", pool, "--oldest-first", "--json")
        assert [found["id"] for found in json.loads(oldest.stdout)["data"]] == [one, two]

    def test_an_empty_list_is_said(self, gapcast: Run) -> None:
        assert "No observations were found." in gapcast("observations", "list", "--pool", "lab", "--collapsed").stdout

    def test_an_unknown_pool_is_refused(self, gapcast: Run) -> None:
        done = gapcast("observations", "list", "--pool", "no-such-pool")
        assert (done.exit_code, "'no-such-pool'" in done.stderr) == (2, True)

    def test_an_unknown_id_is_refused(self, gapcast: Run) -> None:
        done = gapcast("observations", "include", "obs_nosuch")
        assert (done.exit_code, "obs_nosuch" in done.stderr) == (2, True)


class TestLaw:
    def test_shows_the_lab_pool(self, gapcast: Run, connected: Client) -> None:
        done = gapcast("law", "--pool", "lab")
        assert done.exit_code == 0, done.output
        fit = connected.fits.current("lab")
        unusual = connected.fits.residuals(fit.id, unusual=True).data
        for words in (fit.id, "lab-qwen3", "a new family", "Collapses", "Curvature", "Drift", "Slope by size"):
            assert words in done.stdout
        assert all(one.id in done.stdout for one in unusual)
        assert "Calibration  No prediction has met its outcome in pool lab yet.\n" in done.stdout

    def test_for_programs_it_is_json(self, gapcast: Run, connected: Client) -> None:
        answer = json.loads(gapcast("law", "--pool", "lab", "--family", "lab-qwen3", "--json").stdout)
        assert answer["fit"]["id"] == connected.fits.current("lab").id
        assert [one["family"] for one in answer["fit"]["families"]] == ["lab-qwen3"]
        assert answer["calibration"]["n"] == 0
        assert all(one["unusual"] for one in answer["unusual"])
        assert not any(one["outlier"] for one in answer["unusual"]), (
            "half-wrong solutions gained nothing, and their context explains it"
        )

    def test_a_family_alone(self, gapcast: Run, connected: Client, pool: str, row: dict[str, Any]) -> None:
        connected.observations.create([row, row | {"family": "llama"}], pool)
        shown = gapcast("law", "--pool", pool, "--family", "llama").stdout
        assert ("llama" in shown, "qwen3" in shown) == (True, False)

    def test_each_recipe_has_a_law_of_its_own(
        self, gapcast: Run, connected: Client, undecided: str, row: dict[str, Any]
    ) -> None:
        frozen = row | {"family": "llama", "recipe": {"teacher": "trust_region", "divergence": "js"}}
        connected.observations.create([frozen], undecided)
        shown = gapcast("law", "--pool", undecided).stdout
        (line,) = connected.fits.current(undecided).families[1:]
        assert f"{points(line.at_common_gap.improvement)} points at a gap of 15" in shown
        assert f"straight {weight(line.links.linear)}, saturating {weight(line.links.saturating)} (tanh" in shown
        assert (shown.count("co-moving, reverse KL"), shown.count("frozen, JS")) == (2, 2)
        assert not [line for line in shown.splitlines() if len(line.rstrip()) > 100]
        alone = gapcast("law", "--pool", undecided, "--family", "qwen3")
        assert (alone.stdout.count("co-moving, reverse KL"), "frozen, JS" in alone.stdout) == (2, False)
        found = json.loads(gapcast("law", "--pool", undecided, "--family", "llama", "--json").stdout)["fit"]
        assert [one["divergence"] for one in (*found["families"], *found["populations"])] == ["js", "js"]

    @pytest.mark.parametrize(
        ("wrong", "words"), [(("--pool", "no-such-pool"), "lab"), (("--pool", "lab", "--family", "x"), "lab-qwen3")]
    )
    def test_what_is_unknown_is_refused_with_what_is_known(
        self, gapcast: Run, wrong: tuple[str, ...], words: str
    ) -> None:
        done = gapcast("law", *wrong)
        assert (done.exit_code, done.stdout, words in done.stderr) == (2, "", True)

    def test_an_empty_pool_is_said_to_be_empty(self, gapcast: Run) -> None:
        done = gapcast("law")
        assert done.exit_code == 0
        assert "prior_only" in done.stdout
        assert "has no run yet" in done.stderr


class TestPredict:
    def test_beyond_the_stored_gaps_both_sides_are_told(
        self, gapcast: Run, connected: Client, undecided: str, tmp_path: Path
    ) -> None:
        recipe, gap = {"teacher": "ema", "divergence": "reverse_kl"}, {"value": 0.3, "se": 0.02, "student": 0.4}
        asked: dict[str, Any] = {"model": {"name": "Qwen3-8B", "family": "qwen3"}, "task": "livecodebench"}
        asked |= {"context": {"kind": "feedback"}, "pool": undecided, "recipe": recipe, "gap": gap}
        file = tmp_path / "asked.json"
        file.write_text(json.dumps(asked | {"levels": [0.95, 0.5]}))
        shown = gapcast("predict", file).stdout
        found = connected.predictions.create(asked | {"levels": [0.95, 0.5]})
        assert found.improvement is not None
        straight, bent = found.improvement.branches
        for name, side in (("straight", straight), ("saturating", bent)):
            widest = f"95 % interval {points(side.intervals[0].lower)} to {points(side.intervals[0].upper)}"
            assert f"{name} ({weight(side.weight)}): {points(side.value)} points, {widest}" in shown
        assert found.law is not None
        assert f"qwen3: {points(found.law.at_common_gap.improvement)} points at a gap of 15 (95 % confidence" in shown
        assert f"fitted on 6 observations; straight {weight(found.law.links.linear)}, saturating" in shown
        assert {"extrapolation", "link_undecided"} <= {one.code for one in found.warnings}
        assert ("(extrapolation)" in shown, "(link_undecided)" in shown) == (True, False)

        file.write_text(json.dumps(asked | {"gap": gap | {"value": 0.04}}))
        near = gapcast("predict", file).stdout
        assert ("(small_gap)" in near, "neither is ruled out" in near) == (True, False)


class TestSize:
    def test_a_size(self, gapcast: Run, configuration: Path) -> None:
        done = gapcast("size", configuration, "--half-width", "0.12")
        assert done.exit_code == 0, done.output
        for words in ("problems x", "probe: {problems:", "Expect", "Floor", "medians of the family's stored runs"):
            assert words in done.stdout

    def test_options_reach_the_server(self, gapcast: Run, configuration: Path) -> None:
        costs = options(half_width=0.12, rollouts=4, cost_per_problem=10, cost_per_rollout=0.5)
        found = json.loads(gapcast("size", configuration, *costs, "--json").stdout)
        assert found["rollouts"] == 4
        assert found["cost"] == pytest.approx(found["problems"] * (10 + 2 * 4 * 0.5))
        few = json.loads(gapcast("size", configuration, *options(half_width=0.06, level=0.8), "--json").stdout)
        assert few["level"] == 0.8
        limit = options(half_width=0.08, most_problems=33)
        limited = json.loads(gapcast("size", configuration, *limit, "--json").stdout)
        assert limited["verdict"] == "too_few_problems"

    def test_what_no_probe_reaches_exits_with_1(self, gapcast: Run, configuration: Path) -> None:
        done = gapcast("size", configuration, "--half-width", "0.01")
        assert done.exit_code == 1
        assert done.stdout.startswith("Not reachable. No probe gives a half-width of 1 points")
        assert "Floor" in done.stdout
        assert gapcast("size", configuration, "--half-width", "0.01", "--json").exit_code == 1

    def test_points_are_refused_before_the_server_is_asked(self, gapcast: Run, configuration: Path) -> None:
        done = gapcast("size", configuration, "--half-width", "5", "--url", "http://127.0.0.1:9")
        assert done.exit_code == 2
        assert "0.05 is 5 accuracy points" in " ".join(done.stderr.replace("│", "").split())

    @pytest.mark.parametrize("pilot", ["probe_nosuch", "pred_nosuch"])
    def test_an_unknown_pilot_is_refused(self, gapcast: Run, configuration: Path, pilot: str) -> None:
        done = gapcast("size", configuration, "--half-width", "0.1", "--pilot", pilot)
        assert (done.exit_code, pilot in done.stderr) == (2, True)

    def test_a_prediction_stands_for_its_probe(self, gapcast: Run, connected: Client, configuration: Path) -> None:
        asked: dict[str, Any] = {"model": {"name": "lab/addition-qwen3-s"}, "task": "lab/addition"}
        waiting = connected.predictions.create(asked | {"context": {"kind": "hints"}})
        assert waiting.probe_id is not None
        done = gapcast("size", configuration, "--half-width", "0.1", "--pilot", waiting.id)
        assert (done.exit_code, waiting.probe_id in done.stderr) == (2, True), "there is no worker: it measured nothing"

    def test_an_unknown_family_is_asked_for(self, gapcast: Run, configuration: Path) -> None:
        configuration.write_text(CONFIGURATION.replace("lab/addition-qwen3-s", "Qwen/Qwen3-8B"))
        done = gapcast("size", configuration, "--half-width", "0.1")
        assert (done.exit_code, "model.family" in done.stderr) == (2, True)
