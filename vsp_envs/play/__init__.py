"""A window to play any task in, and to watch any recorded episode. `python -m vsp_envs.play`.

The only package that imports pygame; `game`, `boards`, `replay` and `claims` need none.
"""
