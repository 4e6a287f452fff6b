"""How many layouts there are, counted and estimated."""

from __future__ import annotations

import sys

import pytest

from vsp_envs import count
from vsp_envs.core.splits import SPLITS
from vsp_envs.core.task_level import TaskLevel


@pytest.mark.parametrize(
    ("kind", "total"),
    [
        (TaskLevel("minibehaviour", 5), 4104),
        (TaskLevel("minibehaviour", 6), 17400),
        (TaskLevel("maze", 2), 4 * 12),
        (TaskLevel("maze", 3), 192 * 72),
        (TaskLevel("frozenlake", 2), 8 * 4 + 4 * 3),
        (TaskLevel("frozenlake", 3), 6792),
    ],
    ids=str,
)
def test_small_spaces_are_counted_to_the_last_layout(kind: TaskLevel, total: int) -> None:
    found = count.count(kind)
    assert (found.total, found.exact) == (total, True)
    assert sum(found.splits.values()) == total
    if total > 1000:
        for name, share in SPLITS.items():
            assert abs(found.splits[name] / total - share) < 0.05


def test_an_estimate_agrees_with_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "LARGEST", 0)
    for kind, total in ((TaskLevel("frozenlake", 3), 6792), (TaskLevel("maze", 3), 13824)):
        found = count.count(kind)
        assert not found.exact and abs(found.total / total - 1) < 0.03


def test_the_command_prints_a_line_per_level(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["count", "maze:3,8"])
    count.main()
    header, small, large, after = capsys.readouterr().out.splitlines()
    assert header.split() == ["task:level", "layouts", *SPLITS]
    assert small.split()[:3] == ["maze:3", "13", "824"]
    assert large.split()[0] == "maze:8" and large.count("≈") == 4
    assert after == "next: python -m vsp_envs.play --task maze --level 8"


def test_a_task_that_there_is_not_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["count", "mase"])
    with pytest.raises(SystemExit, match="2"):
        count.main()
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: unknown task 'mase'; ") and err.count("\n") == 1
