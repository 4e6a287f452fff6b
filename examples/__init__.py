"""Short programs to copy from; they run from the checkout as `python -m examples.NAME`."""
