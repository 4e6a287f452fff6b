"""Replies and plans: read, played, scored, kept."""
