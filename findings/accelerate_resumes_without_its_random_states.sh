#!/usr/bin/env bash
# Packages: accelerate 1.15.0, torch 2.14.1.
# Behaviour: Accelerator.save_state writes a random_states file for each process, so that a resumed
#   training draws the numbers that it would have drawn. One would expect load_state to refuse a
#   folder in which that file is missing, as it does where the weights are missing. It does not: the
#   file is read inside a try that takes any exception, and a line at level INFO is all that is said,
#   which the default logging does not show. The training goes on with other random numbers, and is
#   no longer the one that was stopped. Who needs exact resumption has to check for the file, or keep
#   the generators' states among the custom objects, whose absence is an error.
# Seen: with the file, the next three numbers are those of the first run; without it load_state
#   returns, prints nothing, and the numbers are others.
# Source: run on 2026-11-29, CPU; accelerate/checkpointing.py, the end of load_accelerator_state.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet torch==2.14.1 accelerate==1.15.0
cd "$folder"
"$python" - <<'PYTHON'
import contextlib
import io
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

accelerator = Accelerator(cpu=True)
network = torch.nn.Linear(2, 2)
optimizer = torch.optim.Adam(network.parameters())
network, optimizer = accelerator.prepare(network, optimizer)
set_seed(0)
accelerator.save_state("state")
expected = torch.rand(3)


def resumed() -> tuple[torch.Tensor, str]:
    set_seed(1)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        accelerator.load_state("state")
    return torch.rand(3), said.getvalue()


whole, _ = resumed()
assert torch.equal(whole, expected), (whole, expected)
files = sorted(Path("state").glob("random_states_*.pkl"))
assert files, sorted(Path("state").iterdir())
for file in files:
    file.unlink()
without, said = resumed()
print("with its file:", whole, "without:", without, "said:", repr(said))
assert not torch.equal(without, expected)
assert said == "", said

weights = [p for p in Path("state").iterdir() if p.suffix in {".safetensors", ".bin"}]
next(p for p in weights if p.stem == "model").unlink()
try:
    accelerator.load_state("state")
except Exception as error:
    print("without weights:", type(error).__name__)
else:
    raise AssertionError("missing weights were passed over too")
print("as stated")
PYTHON
