"""Peak memory of OPCD's loss at a real vocabulary, in a process of its own: it prints bytes.

`python -m benchmarks.loss_memory TOKENS [VOCABULARY]`. The peak counts from where hidden states and
output layers of student and teacher exist: logits, log-probabilities, metrics and gradients.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.measure import Row
from training.loop.chunked_loss import CHUNK, chunked_loss
from training.opcd.checks import objective_of
from training.opcd.config import OPCDConfig
from training.opcd.objective import TeacherOutputs, Tokens

VOCABULARY, HIDDEN = 151_936, 64
LIMIT = 1.0
"""Most GB that the loss may take above one chunk of logits."""


def peak_bytes(tokens: int, vocabulary: int) -> int:
    """Peak bytes of forward and backward, above what was held before them."""
    torch.manual_seed(0)
    student, teacher = torch.randn(2, tokens, HIDDEN)
    heads = torch.randn(2, vocabulary, HIDDEN) / HIDDEN**0.5
    hidden = student.requires_grad_()
    weight = heads[0].clone().requires_grad_()
    token_loss = objective_of(OPCDConfig(out=Path()), ()).token_loss(
        Tokens(torch.randint(vocabulary, (tokens,))), TeacherOutputs(teacher, heads[1]),
        torch.tensor(tokens),
    )  # fmt: skip
    before = _resident("VmRSS")
    chunked_loss(hidden, weight, lambda logits, rows: token_loss(logits, rows)[0]).backward()
    return _resident("VmHWM") - before


def _resident(name: str) -> int:
    """Bytes now (VmRSS) or at the peak (VmHWM); getrusage's peak begins with the parent's."""
    status = Path("/proc/self/status").read_text()
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith(name)]
    return int(kib) * 1024


def memory_row(tokens: int) -> Row:
    """The peak above one chunk of logits, beside its limit."""
    command = [sys.executable, "-m", "benchmarks.loss_memory", str(tokens)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    above = (int(said) - CHUNK * 4) / 1e9
    work = f"memory of the loss above a chunk of logits, {tokens} tokens × {VOCABULARY}"
    return Row(work, "1 GB", above, LIMIT, "GB", LIMIT / above, 1)


if __name__ == "__main__":
    print(peak_bytes(int(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else VOCABULARY))
