"""What several test files share: the tiny model, hypothesis that draws the same examples every
time, and the option that runs fault tests in full."""

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them press.
signal.signal(signal.SIGINT, signal.default_int_handler)

if find_spec("hypothesis"):  # vLLM's and OpenEnv's environments have none
    from hypothesis import HealthCheck, settings

    # The same examples every time, however long a busy machine takes for one.
    settings.register_profile(
        "steady", derandomize=True, database=None, deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults", action="store_true", help="run tests/faults in full and write what they measure"
    )
    parser.addoption(
        "--rehearsal", action="store_true", help="run every command of the how-tos at real shapes"
    )


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of the smallest tiny model, untrained."""
    from training.model.tiny import build_tiny

    folder = tmp_path_factory.mktemp("tiny")
    model, processor, _ = build_tiny("S")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
