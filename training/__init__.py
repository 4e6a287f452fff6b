"""MGSD's training stages on live environments: base (tiny model), perception SFT, OPCD."""

import agents  # noqa: F401 - before torch, for how its threads wait
