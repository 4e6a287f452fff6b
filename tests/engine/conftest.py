"""What the tests of a real vLLM share: a tiny checkpoint, and vLLM's own server of it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from strange_settings import IN_A_FILE, STRANGE

# The engine of this process is told to stay in it; the server runs its own beside it.
IN_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING"}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A tiny Qwen3-VL with random weights: what it says is nonsense, and the same everywhere.

    Its generation_config would change what is sampled, as that of the real ones does: nobody may
    heed that.
    """
    from agents.vlm.checkpoint import store_view
    from training.model.tiny import build_tiny

    folder = tmp_path_factory.mktemp("tiny")
    model, processor, view = build_tiny("S", seed=0)
    store_view(model.config, view)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    file = folder / "generation_config.json"
    strange = {name: STRANGE[name] for name in IN_A_FILE}
    file.write_text(json.dumps(json.loads(file.read_text()) | strange))
    return str(folder)


@pytest.fixture(scope="session")
def engine(checkpoint, tmp_path_factory):
    """The checkpoint in an engine in this process, as the evaluation commands start one."""
    from evaluation.options import EvalConfig, make_agent

    config = EvalConfig(
        out=tmp_path_factory.mktemp("out"), agent="vllm", model=checkpoint, dtype="float32",
        engine='{"enforce_eager": true, "max_num_seqs": 16}',
    )  # fmt: skip
    return make_agent(config)


@pytest.fixture(scope="session")
def server(checkpoint, tmp_path_factory):
    """vLLM's own server in a process of its own, open to new weights and adapters; its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Served(checkpoint, port, tmp_path_factory.mktemp("server") / "log") as served:
        yield served


class Served:
    """A running server: `url`, and its `process`."""

    def __init__(self, checkpoint, port, log):
        self.url, self.log = f"http://127.0.0.1:{port}", Path(log)
        # Not `vllm serve`: that command looks itself up under the official distribution's name.
        self.command = [
            sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint,
            "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port),
            "--dtype", "float32", "--enforce-eager", "--max-model-len", "1024",
            "--max-num-seqs", "16", "--logprobs-mode", "processed_logprobs",
            "--limit-mm-per-prompt", '{"image": 16, "video": 0}',
            "--enable-lora", "--max-lora-rank", "8", "--max-loras", "1",
        ]  # fmt: skip

    def __enter__(self):
        environment = {k: v for k, v in os.environ.items() if k not in IN_PROCESS}
        environment |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                self.command, stdout=file, stderr=subprocess.STDOUT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        self._wait()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    def _wait(self, seconds=600):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.5)
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
        raise AssertionError(f"vLLM's server did not start:\n{tail}")
