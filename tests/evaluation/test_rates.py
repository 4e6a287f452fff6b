"""Rates and intervals: what they are, and that they never claim more than was seen."""

import itertools
import math

import pytest

from evaluation.rates import Rate, mean_rate, tabulate, wilson

NUMBERS = itertools.count()


def record(task, level, error=""):
    return {"task": task, "level": level, "layout_id": str(next(NUMBERS)), "error": error}


def test_wilson_interval_of_8_in_10_is_the_one_worked_by_hand():
    # z² = 3.8415; centre (0.8 + 0.19207) / 1.38415; half √(0.8·0.2·0.38415 + 0.03689) / 1.38415
    rate = wilson(8, 10)
    assert rate.value == 0.8 and rate.n == 10
    assert rate.low == pytest.approx(0.4902, abs=1e-4)
    assert rate.high == pytest.approx(0.9433, abs=1e-4)


@pytest.mark.parametrize("n", [1, 7, 200, 10_000])
def test_an_interval_keeps_a_width_at_0_and_100_per_cent(n):
    none, all_ = wilson(0, n), wilson(n, n)
    assert (none.low, all_.high) == (0, 1)
    assert none.high == pytest.approx(1 - all_.low)
    assert none.high > 0.5 / n
    assert mean_rate([all_, all_]).low < 1 and mean_rate([none, none]).high > 0


def test_a_rate_lies_within_its_interval_and_the_interval_within_0_and_1():
    for n in (1, 3, 50):
        for successes in range(n + 1):
            rate = wilson(successes, n)
            assert 0 <= rate.low <= rate.value <= rate.high <= 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_a_rate_over_nothing_is_refused(successes, n):
    with pytest.raises(ValueError, match="0 ≤ successes ≤ n"):
        wilson(successes, n)


def test_the_mean_of_one_level_is_that_level():
    assert mean_rate([wilson(8, 10)]) == pytest.approx(wilson(8, 10))


def test_the_interval_of_a_mean_adds_the_distances_to_the_limits_as_squares():
    mean = mean_rate([Rate(0.5, 10, 0.2, 0.6), Rate(1.0, 30, 0.6, 1.0)])
    assert (mean.value, mean.n) == (0.75, 40)
    assert mean.low == pytest.approx(0.75 - math.hypot(0.3, 0.4) / 2)
    assert mean.high == pytest.approx(0.75 + 0.1 / 2)


def test_a_task_is_the_mean_of_its_levels_and_macro_the_mean_of_its_tasks():
    kinds = [("maze", 3)] * 4 + [("maze", 4)] + [("frozenlake", 3)] * 2
    records = [record(task, level) for task, level in kinds]
    marks = [{"success": won} for won in (True, False, False, False, True, False, True)]
    results = tabulate(records, marks)
    maze = results["tasks"]["maze"]
    assert maze["levels"]["3"]["success"]["value"] == 0.25
    assert maze["levels"]["4"]["success"] == wilson(1, 1)._asdict()
    assert maze["success"]["value"] == (0.25 + 1) / 2 and maze["success"]["n"] == 5
    assert results["macro"]["success"]["value"] == (0.625 + 0.5) / 2
    assert set(results["macro"]["success"]) == {"value", "n", "low", "high"}


def test_a_reply_that_never_came_is_a_failure_and_stays_in_the_denominator():
    records = [record("maze", 3), record("maze", 3, error="timeout")]
    success = tabulate(records, [{"success": True}, {"success": True}])["macro"]["success"]
    assert (success["value"], success["n"]) == (0.5, 2)


def test_the_macro_part_holds_the_measures_that_all_tasks_have():
    records = [record("maze", 3), record("frozenlake", 3)]
    results = tabulate(records, [{"exact": True, "walls": True}, {"exact": True, "holes": True}])
    assert list(results["macro"]) == ["exact"]
    assert results["tasks"]["maze"]["walls"]["value"] == 1
