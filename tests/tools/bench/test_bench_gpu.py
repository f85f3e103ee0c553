"""The GPU's script on a CPU, in small: it runs, and says what it is to say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.bench import gpu


def test_the_script_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "TINY", replace(gpu.TINY, sizes={"33": (33, 49)}))
    assert gpu.main(["--device", "cpu", "--tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("labels equal to the CPU's on 100.000 %" in line for line in lines)
    rows = [line.split(" | ") for line in lines if line.startswith("| default")]
    assert len(rows) == len(gpu.TINY.sizes) * len(gpu.TINY.segments) * len(gpu.DTYPES)
    assert all(float(row[4]) > 0 for row in rows)


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "no CUDA device" in capsys.readouterr().err
