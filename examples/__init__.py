"""Short programs to copy from; they run from the checkout as `python -m examples.NAME`."""

from importlib.util import find_spec


def missing(*packages: str) -> str:
    """What to install for an example, if one of its packages is not here; else empty."""
    lacking = [name for name in packages if find_spec(name) is None]
    return f"this example needs {' and '.join(lacking)}: make install-examples" if lacking else ""
