"""A transformers checkpoint, and what goes into it."""
