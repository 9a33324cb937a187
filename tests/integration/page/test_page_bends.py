"""Laws that bend, in a real browser against the real product."""

import math
import re
from itertools import pairwise

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from gapcast import Client, Prediction
from tests.support.browser import complaints, text, wait_for
from tests.support.rows import Row, run

pytestmark = pytest.mark.browser

MINUS = "\N{MINUS SIGN}"
STUDENT = 0.42
EMA = {"teacher": "ema", "divergence": "reverse_kl"}
FROZEN = {"teacher": "frozen", "divergence": "forward_kl"}


def saturating(n: int, widest: float) -> list[Row]:
    """Runs under a teacher that moves, beside a curve that rises three times as fast as the gap until all is gained."""
    gaps = [widest * index / n for index in range(n)]
    room = 1 - STUDENT
    return [
        run(
            gap={"value": gap, "se": 0.01},
            improvement={"value": room * (1 - math.exp(-3 * gap / room)) + (0.01, -0.01)[index % 2], "se": 0.02},
            baseline=STUDENT,
            recipe=EMA,
        )
        for index, gap in enumerate(gaps)
    ]


def straight(n: int) -> list[Row]:
    gaps = [0.3 * index / n for index in range(n)]
    return [
        run(gap={"value": gap, "se": 0.01}, improvement={"value": gap + (0.01, -0.01)[index % 2], "se": 0.02})
        for index, gap in enumerate(gaps)
    ]


def ask(client: Client, pool: str, gap: float, recipe: dict[str, str], student: float = STUDENT) -> Prediction:
    return client.predictions.create(
        {
            "model": {"name": "Qwen/Qwen3-8B", "family": "qwen3"},
            "task": "livecodebench-v6",
            "context": {"kind": "feedback"},
            "recipe": recipe,
            "gap": {"value": gap, "se": 0.02, "student": student},
            "pool": pool,
        }
    )


@pytest.fixture(scope="module")
def asked(address) -> dict[str, Prediction]:
    """Pool `bent` holds runs of both recipes; in `open` gaps are so small that a line is not ruled out."""
    with Client(address) as client:
        client.observations.create(saturating(14, 0.45) + straight(10), "bent")
        client.observations.create(saturating(8, 0.1), "open")
        return {
            "bent": ask(client, "bent", 0.3, EMA),
            "able": ask(client, "bent", 0.3, EMA, student=0.65),
            "frozen": ask(client, "bent", 0.2, FROZEN),
            "open": ask(client, "open", 0.25, EMA),
        }


def opened(browser: webdriver.Chrome, address: str, prediction: Prediction) -> None:
    browser.get(f"{address}/predictions/{prediction.id}")
    wait_for(browser, "#answer")
    wait_for(browser, "#chart svg .prediction_marks path")


def rises(browser: webdriver.Chrome, plot: str = "#chart") -> list[float]:
    """How many pixels the curve rises for each to the right, segment by segment."""
    path = browser.find_element(By.CSS_SELECTOR, f"{plot} svg .fit_marks path").get_attribute("d")
    places = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path)]
    assert len(places) > 20
    return [(below - above) / (right - left) for (left, below), (right, above) in pairwise(places)]


def law_says(browser: webdriver.Chrome) -> dict[str, str]:
    """The law's section of the answer, the rows that are shown."""
    section = browser.find_element(By.CSS_SELECTOR, "[data-part=law] dl")
    names, values = (section.find_elements(By.TAG_NAME, tag) for tag in ("dt", "dd"))
    return {name.text: value.text for name, value in zip(names, values, strict=True) if value.is_displayed()}


def points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", MINUS)


def drawn(browser: webdriver.Chrome, plot: str = "#chart") -> list[tuple[float, float]]:
    """Opacity of the observations' marks, by their number."""
    found = browser.find_elements(By.CSS_SELECTOR, f"{plot} svg .observations_marks path")
    shades = [float(one.get_attribute("opacity")) for one in found]
    return [(shade, shades.count(shade)) for shade in sorted(set(shades))]


def test_a_law_that_bends_is_drawn_bent_and_said_by_the_improvement_at_one_gap(browser, address, asked) -> None:
    opened(browser, address, asked["bent"])
    bent = rises(browser)
    assert bent[-1] < 0.3 * bent[0]
    said = law_says(browser)
    assert said["Recipe"] == "EMA teacher, reverse KL"
    assert said["Shape"] == "saturating"
    law = asked["bent"].law
    assert law.depends_on_link
    lower, upper = law.at_common_gap.improvement_interval
    gain = f"{points(law.at_common_gap.improvement)} accuracy points"
    assert said["At gap +15.0"] == f"{gain} (95 % confidence {points(lower)} to {points(upper)})"
    assert "Slope" not in said
    message = text(browser, "[data-part=law-chart] .message")
    assert "All 14 observations in pool bent with a co-moving teacher are of qwen3." in message
    assert "The pool's other 10 observations follow another law." in message
    assert "drawn for a student at 42.0 % with 58.0 points to gain." in message
    assert drawn(browser) == [(0.3, 10), (0.95, 14)]
    key = text(browser, "#chart-key")
    assert "faint: other families or recipes, of another law" in key
    assert "if straight" not in key
    assert browser.find_elements(By.CSS_SELECTOR, ".intervals [scope=rowgroup]") == []
    assert complaints(browser) == []


def test_the_curve_is_of_the_predictions_own_student(browser, address, asked) -> None:
    opened(browser, address, asked["able"])
    message = text(browser, "[data-part=law-chart] .message")
    assert "drawn for a student at 65.0 % with 35.0 points to gain; its runs' students are at 42.0 %" in message
    curve = browser.find_element(By.CSS_SELECTOR, "#chart svg .fit_marks path").rect
    diamond = browser.find_element(By.CSS_SELECTOR, "#chart svg .prediction_marks path").rect
    assert curve["y"] - 10 < diamond["y"] + diamond["height"] / 2 < curve["y"] + 0.25 * curve["height"], "on the curve"
    assert complaints(browser) == []


def test_the_law_of_each_recipe_can_be_chosen(browser, address, asked) -> None:
    browser.get(f"{address}/law?pool=bent")
    wait_for(browser, "#scatter svg .fit_marks path")
    laws = Select(browser.find_element(By.CSS_SELECTOR, "select[name=law]"))
    assert [one.text for one in laws.options[1:]] == [
        "qwen3, co-moving, reverse KL (14)",
        "qwen3, frozen, forward KL (10)",
    ]
    laws.select_by_index(2)
    browser.find_element(By.XPATH, "//button[.='Show']").click()
    WebDriverWait(browser, 20).until(lambda driver: "with a frozen teacher" in text(driver, "main"))
    wait_for(browser, "#scatter svg .fit_marks path")
    line = rises(browser, "#scatter")
    assert line[-1] > 0.8 * line[0]
    assert drawn(browser, "#scatter") == [(0.3, 14), (0.95, 10)]

    opened(browser, address, asked["frozen"])
    assert "with a frozen teacher" in text(browser, "[data-part=law-chart] .message")
    assert law_says(browser)["Recipe"] == "frozen teacher, forward KL"
    assert complaints(browser) == []


def test_both_sides_of_an_undecided_law_stand_beside_the_interval_and_in_the_plot(browser, address, asked) -> None:
    opened(browser, address, asked["open"])
    sides = asked["open"].improvement.branches
    assert [side.link for side in sides] == ["linear", "saturating"]
    rows = [one.text for one in browser.find_elements(By.CSS_SELECTOR, "[data-slot=branches] tr")]
    wanted = ["Beyond the stored gaps it depends on the law's shape:"]
    for name, side in zip(("straight", "saturating"), sides, strict=True):
        wanted.append(f"If {name} ({100 * side.weight:.0f} %): {points(side.value)}")
        wanted += [f"{100 * one.level:.0f} % {points(one.lower)} {points(one.upper)}" for one in side.intervals]
    assert rows == wanted
    key = text(browser, "#chart-key")
    for name, side in zip(("straight", "saturating"), sides, strict=True):
        assert f"if {name} ({100 * side.weight:.0f} %)" in key
    assert law_says(browser)["Shape"] == "straight {:.0f} %, saturating {:.0f} %".format(
        *(100 * side.weight for side in sides)
    )

    diamond, high, low = (
        browser.find_element(By.CSS_SELECTOR, f"#chart svg .{name}_marks path")
        for name in ("prediction", "linear", "saturating")
    )
    assert high.rect["x"] < diamond.rect["x"] < low.rect["x"]
    assert high.rect["y"] < diamond.rect["y"], "a line promises more"
    ActionChains(browser).move_to_element(high).perform()
    wait_for(browser, ".tip")
    assert "If straight" in text(browser, ".tip")
    assert f"{points(sides[0].value).replace(MINUS, '-')} accuracy points" in text(browser, ".tip")
    assert "extrapolation" in {one.code for one in asked["open"].warnings}
    warnings = text(browser, "[data-slot=warnings]")
    assert "outside what was stored" in warnings
    assert "depends on the link" not in warnings, "said beside the interval"
    assert complaints(browser) == []


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_scrolls_sideways(browser, address, asked, width) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for name in ("bent", "open"):
            opened(browser, address, asked[name])
            assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), name
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
