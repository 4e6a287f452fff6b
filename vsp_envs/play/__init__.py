"""A window to play any task in, and to watch any recorded episode. `python -m vsp_envs.play`.

`attempt`, `boards`, `claims`, `game`, `keys` and `replay` need no pygame.
"""
