"""The environments, scalar and vector."""
