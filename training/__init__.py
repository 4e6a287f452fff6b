"""MGSD's training stages on live environments: base (tiny model), perception SFT, OPCD."""
