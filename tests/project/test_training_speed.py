"""The speed table of training: its rows, what its stopwatch counts, and the real shape in small."""

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import measure, peers, real_shape, training
from benchmarks.steppers import REST, Stopwatch

SMALL = training.Scale("S", batch=2, new_tokens=3, seconds=0, samples=4, loss_tokens=2)


def test_a_stopwatch_counts_a_phase_within_another_for_itself_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("benchmarks.steppers.time.perf_counter", lambda: clock.now)
    watch, work = Stopwatch(), SimpleNamespace(inner=lambda: clock.work(20))
    work.outer = lambda: (clock.work(10), work.inner())
    watch.claim(work, "inner", "teacher")
    watch.claim(work, "outer", "update")
    work.outer()  # not started: not counted
    watch.start()
    clock.work(3)
    work.outer()
    watch.stop()
    clock.work(50)
    assert watch.seconds == {REST: 3, "update": 10, "teacher": 20}


class Clock:
    """A clock that only work moves on."""

    now = 0.0

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.slow
def test_the_rows_of_training_beside_no_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "INSTALLED", False)
    before = threading.active_count()
    rows = list(training.all_rows(SMALL, tmp_path, gpu=False))
    assert "TRL is not installed here" in capsys.readouterr().err
    shares = [row for row in rows if "a step" in row.work]
    assert [row.peer for row in shares] == [
        "its forward, backward and optimizer alone", "all of it but the data",
        "its generation alone", "its teacher alone", "its update alone",
    ]  # fmt: skip
    assert all(0 < row.ratio < 1 and row.ours < row.theirs for row in shares)
    assert sum(row.ratio for row in shares[2:]) == pytest.approx(shares[1].ratio)
    assert rows[-1].unit == "GB" and rows[-1].ours < 1  # two tokens are less than a chunk
    (at_once,) = [row for row in rows if row.peer == "--rollout-batch-size 1"]
    assert at_once.ours > 0 and at_once.theirs > 0
    (ahead,) = [row for row in rows if "rollouts ahead" in row.work]
    assert ahead.ours > 0 and ahead.theirs > 0
    assert len(measure.table(rows).splitlines()) == 2 + 6 + 5 + 1 + 1 + 1 + 1
    assert threading.active_count() <= before + 1  # trainings end with their rows


@pytest.mark.slow
def test_the_real_shape_is_timed_by_phase(tmp_path: Path) -> None:
    rows = list(real_shape.rows("tiny", SMALL, tmp_path, steps=1))
    phases, [update, sft] = rows[:4], rows[4:]
    assert sum(row.ratio for row in phases) == pytest.approx(1)
    assert update.unit == "TFLOP" and 0 < update.ours < update.theirs
    assert sft.unit == "prompt token" and 0 < sft.ratio < 1


def test_without_a_gpu_its_rows_are_refused_in_a_clear_word(tmp_path: Path) -> None:
    if not training.torch.cuda.is_available():
        with pytest.raises(SystemExit, match="needs a CUDA device"):
            list(training.all_rows(SMALL, tmp_path, gpu=True))
