"""``python -m tools.benchmark`` and ``coprop data`` as people run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_library
import soundfile
from PIL import Image
from typer.testing import CliRunner

from coprop.cli import app
from tools.benchmark.__main__ import app as composer

SIZE = ("--size", "96x64", "--fps", "1.5")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    given = [*map(str, arguments)]
    if given[0] == "verify":
        result = CliRunner().invoke(app, ["data", *given])
    else:
        result = CliRunner().invoke(composer, given)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_library.build(
        tmp_path_factory.mktemp("sources"), small_library.WIDE, distinct=True
    )


def test_compose_and_verify(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "benchmark"
    code, text, errors = run("compose", "--sources", sources, "--out", out, "--clips", "1", *SIZE)
    assert (code, errors) == (0, "")
    assert text == f"Written to {out}: 3 new clips. It holds test 1 m3, 1 moc, 1 s4.\n"
    more = ("--subset", "moc", "--clips", "2", "--split", "train")
    code, text, _ = run("compose", "--sources", sources, "--out", out, *more, *SIZE)
    assert code == 0
    assert text.endswith("2 new clips. It holds test 1 m3, 1 moc, 1 s4; train 2 moc.\n")
    record = json.loads((out / "train/moc-0001/clip.json").read_text())
    assert (record["fps"], record["size"]) == (1.5, {"height": 64, "width": 96})
    code, text, _ = run("verify", out)
    assert (code, text) == (0, f"{out}: {5 * 26 + 3} files are as they were composed.\n")
    (out / "test/s4-0000/audio.wav").write_bytes(b"")
    (out / "test/m3-0000/clip.json").unlink()
    code, text, errors = run("verify", out)
    assert code == 1
    assert "missing: test/m3-0000/clip.json\nchanged: test/s4-0000/audio.wav\n" in text
    assert errors.startswith(f"coprop: 1 of {5 * 26 + 3} files are missing, 1 changed, and 0 are")


def test_the_seed_and_unseen_groups_count(sources: Path, tmp_path: Path) -> None:
    for name, options in (("one", ()), ("two", ("--seed", "7", "--unseen", "dog, cat"))):
        given = ("--sources", sources, "--out", tmp_path / name, "--subset", "s4", "--clips", "1")
        assert run("compose", *given, *options, *SIZE)[0] == 0
    about = json.loads((tmp_path / "two/benchmark.json").read_text())
    assert (about["seed"], about["unseen_groups"]) == (7, ["cat", "dog"])
    sounds = [(tmp_path / n / "test/s4-0000/audio.wav").read_bytes() for n in ("one", "two")]
    assert sounds[0] != sounds[1]


def test_compose_with_bad_input(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = ("compose", "--sources", sources, "--out", out)
    for options, word in (
        (("--size", "big"), "WIDTHxHEIGHT"),
        (("--subset", "ms3"), "ms3"),
        (("--split", "val"), "val"),
        (("--clips", "0"), "clips"),
        (("--fps", "-1"), "fps"),
    ):
        code, _, errors = run(*given, *options)
        assert code == 2
        assert word in errors
    for options, message in (
        (("--fps", "0"), "coprop: fps must be above 0"),
        (("--size", "20x20"), "coprop: frames must be 64 to 4096 pixels"),
        (("--unseen", "cow"), "coprop: unseen groups must have test pictures"),
    ):
        code, _, errors = run(*given, *options)
        assert code == 1
        assert errors.startswith(message)
    code, _, errors = run("compose", "--sources", tmp_path, "--out", out)
    assert code == 1
    assert "manifest.jsonl cannot be read" in errors
    assert not out.exists()
    code, _, errors = run("verify", tmp_path)
    assert code == 1
    assert "SHA256SUMS cannot be read" in errors


def test_check_finds_copies(tmp_path: Path) -> None:
    sources = small_library.build(tmp_path, small_library.WIDE)
    code, text, errors = run("check", "--sources", sources)
    assert code == 1
    assert "pictures: 22 for training, 22 for testing, 484 pairs compared" in text
    assert "  and " in text
    assert "fingerprint  train_car_0.png  test_car_0.png" in text
    assert "pairs are shared and 0 files are not the manifest's" in errors
    code, text, _ = run("check", "--sources", sources, "--json")
    assert code == 1
    report = json.loads(text)
    assert report["disjoint"] is False
    assert report["counts"]["train sounds"] == 18
    assert report["shared"][0].keys() == {"medium", "train", "test", "how", "similarity"}


def test_check_of_a_disjoint_folder(tmp_path: Path) -> None:
    small_library.build(tmp_path)
    rng = np.random.default_rng(0)
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    from coprop.data.checksums import digest_of

    for row in rows:  # noise is like no other noise
        path = tmp_path / row["path"]
        if row["kind"] == "sound":
            soundfile.write(path, 0.2 * rng.standard_normal(20_000), 44_100)
        else:
            Image.fromarray(rng.integers(0, 255, (17, 17, 3), dtype=np.uint8)).save(path)
        row["sha256"] = digest_of(path)
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, text, errors = run("check", "--sources", tmp_path)
    assert (code, errors) == (0, "")
    assert text.splitlines()[-1] == "Train and test share no picture and no recording."
    (tmp_path / rows[0]["path"]).write_bytes((tmp_path / rows[2]["path"]).read_bytes())
    code, text, errors = run("check", "--sources", tmp_path)
    assert code == 1
    assert f"not the manifest's: {rows[0]['path']}" in text


@pytest.mark.parametrize("command", ["compose", "check"])
def test_the_package_says_where_its_composer_went(command: str, tmp_path: Path) -> None:
    given = ["data", command, "--sources", "x", "--out", str(tmp_path / "out"), "--clips", "1"]
    for line in (given, given[:2], [*given[:2], "--help"]):
        result = CliRunner().invoke(app, line)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            "coprop: the benchmark's composer is no part of the package: in a checkout of the "
            f"project, run python -m tools.benchmark {command} with the same options.\n"
        )
    assert not (tmp_path / "out").exists()
    assert f"  {command} " not in CliRunner().invoke(app, ["data", "--help"]).stdout


def test_as_a_module_in_a_checkout(sources: Path, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    line = [sys.executable, "-m", "tools.benchmark"]
    help_text = subprocess.run([*line, "-h"], cwd=root, capture_output=True, text=True, check=True)
    assert "python -m tools.benchmark" in help_text.stdout
    given = ["compose", "--sources", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run([*line, *given], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("coprop: ")
    assert "manifest.jsonl cannot be read" in done.stderr
    wrong = subprocess.run([*line, "x"], cwd=root, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
