"""A report of several runs: differences, slices, heat maps, exports, and the page in a browser."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from agents.scripted import Blind, Oracle, Random
from evaluation import perception, planning
from evaluation.paired import paired_gap
from evaluation.rates import wilson
from evaluation.report.__main__ import ReportConfig, run
from evaluation.report.compare import comparison
from evaluation.report.gallery import gallery
from evaluation.report.heatmaps import confusions, heatmaps
from evaluation.report.slices import obstacles, plan_length, rates_by, sliced
from evaluation.report.tables import Row, Table, comma_separated, latex, markdown
from evaluation.run_folder import read_run
from vsp_envs.core.task_level import select_task_levels
from vsp_envs.utils.cli import main

KINDS = select_task_levels(["frozenlake:3-5", "maze:4", "minibehaviour:5"])


class Purblind(Oracle):
    """Sees every hole one column too far to the right."""

    name = "purblind"

    def answer(self, layout):
        return re.sub(
            r"(?m)^holes (.*)$",
            lambda line: re.sub(r",(\d)", lambda col: f",{int(col[1]) + 1}", line[0]),
            super().answer(layout),
        )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    for agent in (Blind(), Random(), Oracle()):
        planning.evaluate(agent, KINDS, episodes=30, out=out / agent.name)
    planning.evaluate(Blind(), KINDS[:1], episodes=20, seed=7, out=out / "other-boards")
    perception.evaluate(Purblind(), KINDS, episodes=10, out=out / "purblind")
    return out


@pytest.fixture(scope="module")
def page(folders):
    names = ("blind", "random", "oracle", "purblind")
    main(
        run,
        ReportConfig,
        [*(str(folders / name) for name in names), "--out", str(folders / "all.html")],
    )
    return folders / "all.html"


def runs(folders, *names):
    return [read_run(folders / name) for name in names]


def test_differences_are_taken_board_by_board(folders):
    table = comparison(runs(folders, "blind", "oracle", "random"))
    assert table.columns == ["frozenlake", "maze", "minibehaviour", "mean over tasks"]
    oracle, random = table.rows
    lake, labyrinth, room, mean = oracle.rates
    assert (lake.n, labyrinth.n, mean.n) == (90, 30, 150)
    assert lake.second_only == 0 and lake.low > 0 and labyrinth.p < 0.001
    assert mean.value == pytest.approx((lake.value + labyrinth.value + room.value) / 3)
    assert all(gap.high < 0 for gap in random.rates)


def test_other_boards_are_compared_without_pairs(folders):
    table = comparison(runs(folders, "blind", "other-boards"))
    [[gap]] = [row.rates for row in table.rows]
    assert (gap.n, gap.first_only, gap.second_only) == (30 + 20, 0, 0) and 0 < gap.p <= 1


def test_runs_that_asked_for_something_else_are_not_compared(folders):
    assert comparison(runs(folders, "blind", "purblind")) is None


def test_success_is_sliced_by_length_and_obstacles(folders):
    [blind, oracle] = runs(folders, "blind", "oracle")
    by_length = rates_by(blind, "maze", plan_length)
    assert list(by_length) == sorted(by_length) and len(by_length) > 1
    assert sum(rate.n for rate in by_length.values()) <= 30
    assert by_length[min(by_length)].value > by_length[max(by_length)].value
    assert all(rate.value == 1 for rate in rates_by(oracle, "frozenlake", obstacles).values())
    titles = [title for title, _ in sliced([blind])]
    assert "frozenlake: success by holes" in titles and "maze: success by dead ends" in titles
    assert not any("minibehaviour: success by obstacles" in title for title in titles)


def test_no_board_is_left_out_of_the_slices(folders):
    """The longest plans are few: they join the slice before them, which is named after them."""
    [blind] = runs(folders, "blind")
    lakes = [each for each in blind.records if each["task"] == "frozenlake"]
    by_length = [*([4] * 7), *([5] * 2), *([6] * 6), *([9] * 3)]
    records = [
        {**each, "optimal_length": length} for each, length in zip(lakes, by_length, strict=False)
    ]
    rates = rates_by(replace(blind, records=records), "frozenlake", plan_length)
    assert {length: rate.n for length, rate in rates.items()} == {4: 7, 9: 11}
    few = replace(blind, records=records[:3])
    assert [rate.n for rate in rates_by(few, "frozenlake", plan_length).values()] == [3]


def test_the_failures_that_another_run_solved_come_first(folders):
    [blind] = runs(folders, "blind")
    lakes = [each for each in blind.records if each["task"] == "frozenlake" and not each["success"]]
    key = ("task", "level", "layout_id", "case")
    solved = {tuple(lakes[-1][name] for name in key)}
    first = gallery(lakes, "plan", solved)[: len({each["level"] for each in lakes})]
    assert lakes[-1]["layout_id"] in {board.record["layout_id"] for board in first}


def test_heat_maps_and_confusion_tables_show_where_it_errs(folders):
    [purblind] = runs(folders, "purblind")
    maps = {each.name: each for each in heatmaps(purblind.results)}
    shares = [square.share for square in maps["frozenlake 4"].squares]
    assert len(shares) == 16 and max(shares) > 0
    assert not any(square.share for square in maps["maze 4"].squares)
    tables = {each.name: each for each in confusions(purblind.results)}
    lake = dict(tables["frozenlake: cells"].rows)
    columns = tables["frozenlake: cells"].columns
    assert lake["free"][columns.index("hole")] > 0 and lake["hole"][columns.index("free")] > 0
    assert [true for true, _ in tables["maze: sides of cells"].rows] == ["open", "wall"]


def test_the_page_holds_all_of_it(page):
    text = page.read_text()
    for words in (
        "less blind", "exact McNemar test", "frozenlake: success by holes", "Where it errs",
        "Qwen3-VL-8B, direct-plan SFT on 30 k samples", "--rules mgsd-eval", "arXiv 2606.06076",
    ):  # fmt: skip
        assert words in text
    assert text.count('class="heat"') == len(KINDS)


SHARE, GAP = wilson(9, 10), paired_gap([True] * 9 + [False], [False] * 10)
TABLE = Table(["a_b", "gap & p"], [Row("x%", [SHARE, GAP]), Row("y", [None, None])])


def test_tables_are_exported_as_markdown_latex_and_csv(page):
    for suffix in (".md", ".tex", ".csv"):
        assert page.with_suffix(suffix).stat().st_size > 500
    assert "| x% | 90.0 (59.6–98.2) | +90.0 (+48.8 to +98.2), p 0.004 | 10 |" in markdown(TABLE)
    assert markdown(Table(["a|b"], [])).startswith(r"| run | a\|b | n |")
    assert r"run & a\_b & gap \& p & n \\" in latex(TABLE)
    assert r"x\% & $90.0_{59.6}^{98.2}$ & $+90.0_{+48.8}^{+98.2}$, $p$ 0.004 & 10 \\" in latex(
        TABLE
    )
    assert r"y & -- & -- &  \\" in latex(TABLE)
    lines = list(csv.DictReader(comma_separated(TABLE).splitlines()))
    assert [line["column"] for line in lines] == ["a_b", "gap & p"]
    assert float(lines[0]["high"]) == pytest.approx(0.982, abs=1e-3) and lines[0]["p"] == ""
    assert float(lines[1]["p"]) == pytest.approx(2 / 512)


# In a real browser

WRAPPER = """<!doctype html><iframe src="page.html" style="width:{width}px;height:3000px;border:0">
</iframe><script>
addEventListener("message", event => document.body.setAttribute("data-seen", event.data));
</script>"""
PROBE = """<script>addEventListener("load", () => parent.postMessage([
  document.documentElement.scrollWidth - innerWidth,
  getComputedStyle(document.body).backgroundColor,
  [...document.images].every(image => image.complete && image.naturalWidth > 0),
  document.querySelectorAll("svg").length,
].join("|"), "*"))</script>"""


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no chromium here; `apt-get install chromium` has it")
    return found


@pytest.mark.parametrize("width", [1400, 800, 360])
@pytest.mark.parametrize(("scheme", "color"), [(0, "rgb(20, 21, 23)"), (1, "rgb(251, 251, 250)")])
def test_the_page_fits_every_screen_in_light_and_dark(
    page, tmp_path, browser, width, scheme, color
):
    (tmp_path / "page.html").write_text(page.read_text() + PROBE)
    (tmp_path / "frame.html").write_text(WRAPPER.format(width=width))
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,1000",
        f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=5000",
        # Nothing is to be had from outside: the page must do without.
        "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom", f"file://{tmp_path}/frame.html",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    seen = re.search(r'data-seen="([^"]*)"', shown)
    assert seen, shown[:500]
    over, background, images, drawings = seen[1].split("|")
    assert (int(over), background, images) == (0, color, "true")
    assert int(drawings) > 20
