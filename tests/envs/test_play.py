"""A person's game, without a window: what keys do, what counts, what is written down."""

import json

import pytest

from tests.drawn import lake, maze, plan, room
from vsp_envs import Action, LayoutSpec, draw_distinct, score_reply, shortest_plan
from vsp_envs.core.layout import NoLayoutError, Outcome
from vsp_envs.core.task_level import TaskLevel
from vsp_envs.play.boards import ListedBoards, RandomBoards
from vsp_envs.play.game import Game
from vsp_envs.scoring.episode import Episode, first_attempts, read_episodes

POND = lake("SFH FFF FFG")
OTHER = lake("SFF HFF FFG")
HALL = maze(
    """
    +-+-+
    |S  |
    +-+ +
    |G  |
    +-+-+
    """
)
DESK = room("..... ..... ..... P.TTT A.TTT")


def play(*layouts, **others):
    return Game(ListedBoards(layouts or [POND, OTHER]), **others)


def walk(game, text):
    return [game.act(action) for action in plan(text)]


def test_actions_move_and_the_shortest_way_is_praised():
    game = play()
    assert walk(game, "D D R R")[-1] is Outcome.SUCCESS
    assert game.message == ("Solved in 4, the shortest way. N: next board.", "good")
    assert game.tally == (1, 1, 1, 1)


def test_a_detour_is_solved_and_not_optimal():
    game = play()
    walk(game, "D U D D R R")
    assert game.message.text.startswith("Solved in 6; 4 is possible")
    assert game.tally == (1, 1, 0, 1)


def test_a_hole_ends_the_board_and_undo_begins_another_attempt_that_does_not_count():
    game = play()
    assert walk(game, "R R")[-1] is Outcome.FAILURE
    assert game.act(Action.DOWN) is None and "over" in game.message.text
    game.undo()
    assert game.attempt.plan == plan("R") and not game.attempt.over
    walk(game, "D D R")
    assert [each.success for each in game.episodes] == [False, True]
    assert game.episodes[1].aids == ["undo"]
    assert game.tally == (1, 0, 0, 0)


def test_an_illegal_move_is_told_kindly_and_counts_as_a_step():
    game = play(HALL)
    assert walk(game, "D") == [Outcome.ILLEGAL]
    assert game.message == ("A wall is in the way. It counts as a step.", "warn")
    walk(game, "R D L")
    assert game.episodes[0].steps == 4 and game.episodes[0].illegal == 1


def test_space_picks_up_and_puts_down_by_context():
    game = play(DESK)
    assert game.pick_or_drop() is Outcome.RUNNING
    assert game.pick_or_drop() is Outcome.ILLEGAL  # in hand, and no table beside
    walk(game, "R")
    assert game.pick_or_drop() is Outcome.SUCCESS
    assert game.attempt.plan == plan("PICK DROP R DROP")


def test_a_task_without_a_printer_says_so_and_counts_nothing():
    game = play()
    assert game.pick_or_drop() is None
    assert game.message.text == "FrozenLake has no pick." and not game.attempt.plan


def test_restart_within_an_attempt_is_an_undo_of_all():
    game = play()
    walk(game, "R")
    game.restart()
    walk(game, "D D R R")
    assert game.episodes[0].optimal and game.episodes[0].aids == ["undo"]


def test_a_board_that_is_left_half_way_counts_and_an_untouched_one_does_not():
    game = play(POND, OTHER, HALL)
    game.next_board()
    assert game.layout == OTHER and not game.episodes
    walk(game, "R")
    game.next_board()
    assert game.layout == HALL
    assert [(each.outcome, each.success) for each in game.episodes] == [("running", False)]
    game.previous_board()
    assert game.layout == OTHER
    game.previous_board()
    game.previous_board()
    assert game.layout == POND and game.message.text == "This is the first board."


def test_a_hint_is_marked_and_its_board_is_not_solved():
    game = play()
    game.toggle_hint()
    assert game.hint
    walk(game, "D")
    assert not game.hint
    walk(game, "D R R")
    assert game.episodes[0].success and game.episodes[0].aids == ["hint"]
    assert game.tally == (1, 0, 0, 0)
    game.restart()  # what was seen stays seen
    walk(game, "D")
    assert "hint" in game.attempt.aids


def test_the_symbolic_state_is_on_record():
    game = play()
    game.toggle_symbolic()
    walk(game, "D D R R")
    assert game.episodes[0].aids == ["symbolic"]
    game.next_board()
    walk(game, "R")
    assert "symbolic" in game.attempt.aids


def test_a_recording_shows_what_a_model_sees_and_nothing_else(tmp_path):
    game = play(POND, OTHER, recording=tmp_path / "human.jsonl")
    game.toggle_hint()
    game.toggle_symbolic()
    assert not game.hint and not game.symbolic and "what a model sees" in game.message.text
    walk(game, "D R U D D R")
    assert game.message.text == "Solved in 6. N: next board."  # and not that 4 are possible
    assert game.episodes[0].aids == []


def test_a_typed_plan_runs_from_the_start_as_a_model_reply_would():
    game = play()
    walk(game, "R")
    game.run_plan("ddrr")
    assert game.state == 0 and game.attempt.plan == []
    while game.queue:
        game.advance()
    (episode,) = game.episodes
    assert episode.reply == "<answer>ddrr</answer>" and episode.optimal
    assert "typing a whole plan" in episode.prompt


def test_a_typed_plan_that_stops_short_counts_as_unfinished():
    game = play()
    game.run_plan("<answer>D</answer>")
    game.advance()
    assert game.episodes[0].outcome == "running" and game.attempt.over
    assert "ends here" in game.message.text


def test_what_is_no_plan_costs_nothing():
    game = play(DESK)
    walk(game, "R")
    game.run_plan("go there")
    assert game.message.text == "No plan can be read in that (malformed). Write it like L,D,R."
    assert game.attempt.plan == plan("R") and not game.queue


def test_an_episode_is_what_a_reply_with_the_same_plan_scores():
    game = play(DESK, clock=iter([0.0, 2.5]).__next__)
    walk(game, "R PICK L PICK R DROP")
    (episode,) = game.episodes
    score = score_reply(DESK, episode.reply)
    assert (episode.success, episode.steps, episode.illegal) == (True, 6, 1)
    assert episode.states == score.trace.states and episode.reason == score.reason
    assert episode.agent == "human" and episode.seconds == 2.5 and episode.board() == DESK


def test_each_episode_is_on_disk_when_it_ends_and_a_restart_goes_on_behind_it(tmp_path):
    file = tmp_path / "human.jsonl"
    game = play(POND, OTHER, HALL, recording=file)
    walk(game, "D D R R")
    assert len(file.read_text().splitlines()) == 1
    with file.open("a") as half:
        half.write('{"task": "frozenl')
    game = play(POND, OTHER, HALL, recording=file, episodes=read_episodes(file, repair=True))
    assert game.layout == OTHER and game.tally.solved == 1
    walk(game, "R D D R")
    assert [each.layout_id for each in read_episodes(file)] == [POND.layout_id, OTHER.layout_id]


def test_a_set_that_is_played_says_so():
    game = play(POND)
    walk(game, "D D R R")
    game.next_board()
    assert game.message.text == "every board has been played"
    with pytest.raises(NoLayoutError, match="every board of maze:3 has been played"):
        Game(ListedBoards([POND]), TaskLevel("maze", 3))


def test_drawn_boards_are_those_that_models_are_asked():
    boards = RandomBoards("test", seed=3)
    asked = draw_distinct(LayoutSpec("maze", 4, "test"), 6, seed=3)
    played, given = set(), []
    for _ in asked:
        given.append(boards.after(None, TaskLevel("maze", 4), played))
        played.add(given[-1].layout_id)
    assert given == asked


def test_task_and_level_change_the_board():
    game = Game(RandomBoards(seed=0), TaskLevel("frozenlake", 4))
    game.change_task(2)
    assert (game.layout.task, game.layout.level) == ("maze", 4)
    game.change_level(1)
    assert (game.layout.task, game.layout.level) == ("maze", 5)
    game.change_task(3)
    game.change_level(-1)
    assert (game.layout.task, game.layout.level) == ("minibehaviour", 4)
    game.change_task(9)
    assert game.message.text == "There are no boards of a task 9 here."
    game.previous_board()
    assert game.layout.level == 5


def test_levels_end_where_the_list_ends():
    game = play(POND, HALL)
    game.change_level(1)
    assert game.message.text == "Levels of FrozenLake here are 3 to 3."
    game.change_task(3)
    assert game.message.text == "There are no boards of minibehaviour here."
    game.change_task(2)
    assert game.layout == HALL


def test_a_bad_line_of_a_recording_is_named(tmp_path):
    game = play(recording=tmp_path / "human.jsonl")
    walk(game, "D D R R")
    record = game.episodes[0].record()
    for spoil in ({"states": [0, 99]}, {"task": "mase"}, {"layout": {}}):
        (tmp_path / "bad.jsonl").write_text(json.dumps(record | spoil) + "\n")
        with pytest.raises(ValueError, match=r"bad.jsonl, line 1: not an episode: "):
            read_episodes(tmp_path / "bad.jsonl")
    (tmp_path / "bad.jsonl").write_text(json.dumps(record | {"later": 1}) + "\n")
    assert read_episodes(tmp_path / "bad.jsonl") == game.episodes  # a field of a later version


def test_first_attempts_are_per_task_and_board():
    def episode(layout, aids=()):
        game = play(layout)
        walk(game, " ".join(each.name[0] for each in shortest_plan(layout)))
        return Episode(**game.episodes[0].record() | {"aids": list(aids)})

    first, again, other = episode(POND), episode(POND, ["hint"]), episode(OTHER, ["hint"])
    firsts = first_attempts([first, again, other])
    assert [each.success for each in firsts] == [True, False]
