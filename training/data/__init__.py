"""The stream of live boards, step by step."""
