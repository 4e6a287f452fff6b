"""HTML and scripts in what a model says, none runs in the report, in a real browser."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from agents.agent import Reply
from agents.rollout import Case
from agents.scripted import Oracle
from evaluation import perception, planning
from evaluation.options import CaseSet
from evaluation.report.__main__ import write_tables
from evaluation.report.page import write_report
from evaluation.report.plots import Chart, Point
from evaluation.run_folder import read_run
from vsp_envs import LayoutSpec, draw_distinct
from vsp_envs.core.task_level import TaskLevel

ATTACKS = [
    '<script>document.title="BROKEN"</script>',
    '"><img src=x onerror=\'document.title="BROKEN"\'>',
    "'><svg onload='document.title=\"BROKEN\"'>",
    '</title></style></pre></textarea><script>document.title="BROKEN"</script>',
    '--><script>document.title="BROKEN"</script><!--',
    "]]></script><body onpageshow=\"document.title='BROKEN'\">",
    "<iframe srcdoc=\"<script>parent.document.title='BROKEN'</script>\"></iframe>",
    '<meta http-equiv="refresh" content="0;url=javascript:document.title=\'BROKEN\'">',
    "{{ self.__init__.__globals__ }}{% raw %}$\\frac$`'\"|<b>",
]


class Attacker(Oracle):
    """Attacks wherever words of a model, or about one, come into a page."""

    def __init__(self, attack: str) -> None:
        super().__init__()
        self.attack = self.name = attack

    def reply(self, requests):
        answers = []
        for place, request in enumerate(requests):
            said = self.answer(request.layout)
            said = re.sub(r"(?m)^(?:player|holes|size) ", lambda it: it[0] + self.attack, said)
            text = f"{self.attack}\n{said}\n<answer>{self.attack}</answer>" if place % 2 else said
            answers.append(Reply(text + self.attack, error=self.attack if place % 3 == 1 else ""))
        return answers

    def settings(self):
        return {self.attack: self.attack, "nested": {self.attack: [self.attack]}}


def attacked_page(attack: str, folder) -> str:
    """A report of two runs in which all that is not ours is an attack."""
    kinds = [TaskLevel("frozenlake", 3), TaskLevel("frozenlake", 4)]
    for command, name in ((planning, "plan"), (perception, "perceive")):
        cases = [
            Case(layout, goal=name, name=attack)
            for kind in kinds
            for layout in draw_distinct(LayoutSpec(*kind), 6, seed=0)
        ]
        given = CaseSet(attack, cases)
        command.evaluate(Attacker(attack), kinds, given=given, out=folder / name)
    runs = [replace(read_run(folder / name), name=attack + name) for name in ("plan", "perceive")]
    runs.append(replace(runs[0], name=attack))
    chart = Chart(attack, [Point(0, attack, 0.5), Point(1, attack + "2", 1.0)], share=True)
    page = folder / "page.html"
    write_report(page, f"report {attack}", runs, charts=[chart], lead=attack, published=True)
    write_tables(page, runs)
    return page.read_text() + MARK


MARK = "<p id=end>end of the page</p>"


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no chromium here; `apt-get install chromium` has it")
    return found


def shown(browser: str, page: str, folder) -> str:
    """What becomes of a page in the browser, its scripts run."""
    (folder / "shown.html").write_text(page)
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
        f"--user-data-dir={folder / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--dump-dom", f"file://{folder}/shown.html",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.slow
def test_nothing_that_a_model_says_runs_in_the_report(browser, long, tmp_path, record_property):
    """Scripts, handlers, frames and broken-out tags as replies, errors, model, run and case names,
    settings, chart titles and headings: opened in chromium, looked at when its scripts have run."""
    if long:  # the browser would run them
        assert "<title>BROKEN</title>" in shown(browser, f"<title>t</title>{ATTACKS[0]}", tmp_path)
    parts = [" ".join(ATTACKS), *(ATTACKS[:2] if long else ())]
    for number, attack in enumerate(parts):
        folder = tmp_path / str(number)
        seen = shown(browser, attacked_page(attack, folder), folder)
        title = re.search(r"<title>(.*?)</title>", seen, re.DOTALL)[1]
        assert title.startswith("report ") and "end of the page" in seen
        tags = Elements(seen)
        assert not {"script", "iframe", "object", "embed", "link", "base"} & tags.names
        assert not any(name.startswith("on") for name in tags.attributes)
        assert tags.metas == 3
    record_property("attacks", len(ATTACKS))
    record_property("ran", 0)


class Elements(HTMLParser):
    """What elements and attributes a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names, self.attributes, self.metas = set(), set(), 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.metas += tag == "meta"
