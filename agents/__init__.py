"""Prompts, agents and the harness that plays them on live boards. Run from the checkout.

Not part of the wheel: `agents` is also the import name of a popular SDK.
"""
