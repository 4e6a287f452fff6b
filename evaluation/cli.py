"""The command line of the project, as `vsp_envs.cli` has it."""

from vsp_envs.cli import is_user_error, main, one_line

__all__ = ["is_user_error", "main", "one_line"]
