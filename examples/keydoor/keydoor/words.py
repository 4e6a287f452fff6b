"""KeyDoor in words: the rules, the image legend and the room as text."""

from vsp_envs.core.layout import Layout

from .rules import key_words, rows

RULES = (
    "A wall with a locked door divides a square room. The agent moves one cell left, down, right "
    "or up; it cannot enter a wall, nor the key's cell while the key lies there. Beside the key it "
    "can pick it up. Walking into the door with the key opens it; without the key it sets off the "
    "alarm, which ends the task. The agent has to reach the goal."
)
LEGEND = {
    "classic": "The blue robot is the agent, the golden key is the key, the brown door with a lock "
    "is the door, bricks are walls, the green flag is the goal, light tiles are floor.",
}
NOTATION = (
    "One letter per cell, row by row: A agent, K key, D door, O open door, G goal, W wall, F floor."
)


def state_text(layout: Layout) -> str:
    """The room, one line of letters per row, and whether the agent carries the key."""
    carried = ["The agent carries the key."] * (key_words(layout) == "carried")
    return "\n".join([*rows(layout), *carried])


CARD = {
    "Starting State": "A fresh room at every reset: a wall from side to side with a door in it, "
    "agent and key on one side, the goal on the other. All rooms can be solved.",
    "Differences": """\
| from | there | here |
|---|---|---|
| MiniGrid's DoorKey | the agent faces a direction, turns, and reaches what it faces | moves in \
four directions; picks up from the four neighbouring cells |
| | a key is used on the door by an action of its own | walking into the door with the key opens \
it, and the key stays in the lock |
| | a locked door refuses the agent | walking into it without the key sets off the alarm, which is \
a failure |
| | the agent sees a few cells before it | the whole board is seen |
| | agent and key left, the goal in the last corner | the wall lies either way, goal and agent on \
either side |""",
    "Version History": "- v0: first version.",
}
