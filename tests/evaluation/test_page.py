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
from evaluation.report.page import summary, write_report
from evaluation.report.plots import LEGEND_LETTERS, Chart, curves_svg, levels_svg
from evaluation.report.slices import bins_of, obstacles, plan_length, rates_by, sliced
from evaluation.report.tables import Row, Table, comma_separated, latex, markdown, print_table
from evaluation.results import planning_results
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
    blind, other = runs(folders, "blind", "other-boards")
    known = {each["layout_id"] for each in blind.records}
    others = [each for each in other.records if each["layout_id"] not in known]
    table = comparison([blind, replace(other, records=others)])
    [[gap]] = [row.rates for row in table.rows]
    assert (gap.n, gap.first_only, gap.second_only) == (30 + len(others), 0, 0)
    assert 0 < gap.p <= 1 and f"| {gap.n} unpaired |" in markdown(table)


@pytest.mark.parametrize("few", [1, 3])
def test_the_boards_that_both_runs_played_are_paired_however_few(folders, few):
    [blind, oracle] = runs(folders, "blind", "oracle")
    lakes = [each for each in oracle.records if each["task"] == "frozenlake"][:few]
    table = comparison([blind, replace(oracle, name="person", records=lakes)])
    [[gap, *_]] = [row.rates for row in table.rows]
    missed = [
        each for each in blind.records if each["layout_id"] in {r["layout_id"] for r in lakes}
    ]
    assert (gap.n, gap.unpaired) == (few, 0)
    assert gap.value == pytest.approx(1 - sum(each["success"] for each in missed) / few)
    assert f"| {few} pairs |" in markdown(table)


def test_a_run_without_common_boards_says_so_in_its_row(folders):
    lakes, oracle = runs(folders, "other-boards", "oracle")
    rooms = [each for each in oracle.records if each["task"] == "minibehaviour"]
    other = replace(oracle, name="rooms", records=rooms, results=planning_results(rooms))
    [row] = comparison([lakes, other]).rows
    assert row.rates == [None]
    assert row.note == "no common boards: minibehaviour 5; other-boards: frozenlake 3"
    assert row.note in markdown(comparison([lakes, other]))


def test_a_mean_over_tasks_stands_only_beside_means_over_the_same_tasks(folders):
    both, lakes = runs(folders, "blind", "other-boards")
    table = summary([both, lakes])
    assert "frozenlake: success" in table.columns and "maze: success" in table.columns
    assert not any("macro" in column for column in table.columns)
    cells = dict(zip(table.columns, table.rows[1].rates, strict=True))
    assert cells["frozenlake: success"].n == 20 and cells["maze: success"] is None
    assert table.rows[1].note == "frozenlake 3"  # and not levels 3 to 5, as the first row
    table = summary(runs(folders, "blind", "random"))
    assert "macro mean: success" in table.columns and "macro mean: optimal" in table.columns
    assert not any(row.note for row in table.rows)


def test_runs_that_asked_for_something_else_are_not_compared(folders):
    [row] = comparison(runs(folders, "blind", "purblind")).rows
    assert row.rates == [None] and "one run plans, the other describes boards" in row.note


def test_success_is_sliced_by_length_and_obstacles(folders):
    [blind, oracle] = runs(folders, "blind", "oracle")
    bins = bins_of([blind, oracle], "maze", plan_length)
    assert [*map(len, bins)] == [each.stop - each.start for each in bins] and len(bins) > 1
    by_length = rates_by(blind, "maze", plan_length, bins)
    assert sum(rate.n for rate in by_length.values()) == 30
    first, *_, last = by_length.values()
    assert first.value > last.value
    bins = bins_of([oracle], "frozenlake", obstacles)
    assert all(rate.value == 1 for rate in rates_by(oracle, "frozenlake", obstacles, bins).values())
    titles = [each.title for each in sliced([blind])]
    assert "frozenlake: success by holes" in titles and "maze: success by dead ends" in titles
    assert not any("minibehaviour: success by obstacles" in title for title in titles)


def test_no_board_is_left_out_of_the_slices(folders):
    """Lengths with few boards join a neighbour; a bin is named by its lowest and highest."""
    [blind] = runs(folders, "blind")
    lakes = [each for each in blind.records if each["task"] == "frozenlake"]
    by_length = [*([4] * 7), *([5] * 2), *([6] * 6), *([9] * 3)]
    records = [
        {**each, "optimal_length": length} for each, length in zip(lakes, by_length, strict=False)
    ]
    run = replace(blind, records=records)
    bins = bins_of([run], "frozenlake", plan_length)
    rates = rates_by(run, "frozenlake", plan_length, bins)
    assert {length: rate.n for length, rate in rates.items()} == {"4": 7, "5–9": 11}
    few = replace(blind, name="few", records=records[5:9])
    assert bins_of([run, few], "frozenlake", plan_length) == bins  # the same for all runs
    rates = rates_by(few, "frozenlake", plan_length, bins)
    assert {length: rate.n for length, rate in rates.items()} == {"4": 2, "5–9": 2}


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
        "minus blind", "exact McNemar test", "frozenlake: success by holes", "Where it errs",
        "Qwen3-VL-8B, direct-plan SFT on 30 k samples", "--protocol mgsd", "arXiv 2606.06076",
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


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_a_table_fits_the_columns_of_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    names = ["by image", "by text", "text − image", "image read right", "success, read right"]
    print_table(
        Table(names, [Row("frozenlake 3", [SHARE, SHARE, GAP, SHARE, None])], "task, level")
    )
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= int(columns)
    for said in (*names, "90.0 (59.6–98.2)", "+90.0 (+48.8 to +98.2), p 0.004", "–"):
        assert said in shown


NAMES = ["blind", "SFT, made to go on with a route", "symbolic-input bound (base, text)", *"abcde"]


@pytest.mark.parametrize("names", [NAMES[:2], NAMES[:4], NAMES, ["a long name " * 9, *NAMES]])
def test_a_legend_is_inside_its_chart(names):
    lines = {name: {"3": SHARE, "4": SHARE} for name in names}
    points = [{"step": step, "name": name, "value": 0.5} for step in (1, 2) for name in names]
    for drawing in (levels_svg(lines, "by level", ["3", "4"]), curves_svg(Chart("loss", points))):
        width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', drawing).groups())
        legend = drawing[drawing.index('id="legend') :]
        texts = re.findall(r'<text [^>]*x="(\S+)" y="(\S+)"[^>]*>([^<]+)</text>', legend)
        shown = re.findall(r">([^<]+)</text>", legend)  # lines of a long name have no place there
        assert " ".join(shown).split() == " ".join(names).split()
        assert max(map(len, shown)) < LEGEND_LETTERS
        for x, y, text in texts:
            # Letters of common fonts are narrower than 0.6 of their height in the mean.
            assert 0 < float(x) < width - 0.6 * 9 * len(text) and 0 < float(y) < height


def test_what_two_like_columns_mean_stands_below_them(folders, tmp_path):
    write_report(tmp_path / "page.html", "Both", runs(folders, "oracle", "purblind"))
    text = (tmp_path / "page.html").read_text()
    assert text.count("State exact: what a planning answer says") == 2  # summary, and its section
    assert text.count("Perception exact: every question") == 2


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
  [...document.querySelectorAll(".scroll")].filter(each => each.querySelector(".rates")
    && each.scrollWidth > each.clientWidth).length,
].join("|"), "*"))</script>"""


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no chromium here; `apt-get install chromium` has it")
    return found


@pytest.mark.slow
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
    over, background, images, drawings, scrolling = seen[1].split("|")
    assert (int(over), background, images) == (0, color, "true")
    assert int(drawings) > 20
    assert int(scrolling) == 0  # tables are stacked instead
