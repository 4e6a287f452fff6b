"""Prompts, agents and the harness that plays them on live boards. Run from the checkout.

Not part of the wheel: `agents` is also the import name of a popular SDK.
"""

import os as _os

# Threads of torch that wait for each other sleep: spinning on shared cores costs many times the
# work. OpenMP reads this once, when torch is imported; the packages above import this one first.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
