"""The recipes of docs/collections.md, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cheap_pipeline
import pytest

from coprop.batch import Segment
from coprop.batch.ray_pipeline import RayOptions, run_on_ray
from coprop.batch.rows import Status
from coprop.errors import CoPropError, MissingPackageError
from small_clips import write_clip

PAGE = Path(__file__).parents[2] / "docs" / "collections.md"
COMMAND = f"""#!{sys.executable}
import cheap_pipeline
from coprop import CoProp
CoProp.from_pretrained = lambda *given, detector=None, **named: cheap_pipeline.without_drawing()
from coprop.__main__ import main
main()
"""


def recipe(title: str, number: int = 0) -> str:
    """A block of code below a title of the page."""
    part = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```(?:python|bash)\n(.*?)```", part, re.DOTALL)[number]


def changed(text: str, **words: object) -> str:
    """A recipe with paths of this machine."""
    for old, new in words.items():
        assert old in text
        text = text.replace(old, str(new))
    return text


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A folder with two videos; a command ``coprop`` that is quick, and Slurm's ``srun``."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in {"coprop": COMMAND, "srun": '#!/bin/bash\nexec "$@"\n'}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    for number, name in enumerate("ab"):
        write_clip(tmp_path / "videos" / f"{name}.mp4", frames=2 + number)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", ":".join([str(Path(__file__).parent), *map(str, sys.path)]))
    return {"VIDEOS": str(tmp_path / "videos"), "RESULTS": str(tmp_path / "results")}


def test_slurm(paths: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "job.sh"
    script.write_text(recipe("Slurm"))
    assert len(script.read_text().splitlines()) <= 30
    for task in (2, 1):
        ids = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2"}
        ids["SLURM_CPUS_PER_TASK"] = "1"
        command = ["bash", str(script)]
        done = subprocess.run(
            command, env={**os.environ, **paths, **ids}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        rows = (tmp_path / "results" / "index.jsonl").read_text().splitlines()
        assert len(rows) == 3 - task
    assert [Path(json.loads(row)["path"]).name for row in rows] == ["a.mp4", "b.mp4"]


def test_spark_without_spark(paths: dict[str, Any], tmp_path: Path) -> None:
    """The function that Spark calls, called as it does."""
    pandas = pytest.importorskip("pandas")
    text = changed(recipe("Spark"), **{"/shared/results": paths["RESULTS"]})
    text = changed(text, **{'Segment("': 'Segment(pipeline=PIPELINE, out="'})
    names: dict[str, Any] = {"PIPELINE": cheap_pipeline.without_drawing}
    exec(text, names)
    batches = [pandas.DataFrame({"path": [f"{paths['VIDEOS']}/{name}.mp4"]}) for name in "ac"]
    first, second = names["segment"](iter(batches))
    assert list(first) == list(second) == list(names["COLUMNS"])
    assert [first["status"][0], second["status"][0]] == ["done", "failed"]


def test_the_function_in_python(paths: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths["VIDEOS"])
    text = changed(recipe("In Python"), **{"CoProp.from_pretrained": "PIPELINE"})
    names: dict[str, Any] = {"PIPELINE": cheap_pipeline.without_drawing}
    exec(text, names)
    assert names["rows"]["status"] == ["done", "done"]


def test_recipes_compile() -> None:
    for title, number in (("Ray", 0), ("Spark", 0), ("Spark", 1), ("NeMo Curator", 0)):
        text = recipe(title, number)
        compile(text, title, "exec")
        assert len(text.splitlines()) <= 40


class TestRay:
    def test_recipe_and_command(
        self, paths: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pipeline of the page, and then the command's, which finds all done before."""
        ray = pytest.importorskip("ray")
        text = changed(
            recipe("Ray"),
            **{
                'ray.init("auto")': 'ray.init("local", include_dashboard=False, num_cpus=2)',
                "/shared/videos": paths["VIDEOS"],
                "/shared/results": paths["RESULTS"],
                "/shared/rows": tmp_path / "rows",
                "ActorPoolStrategy(size=2)": "ActorPoolStrategy(size=1)",
                'CoProp.from_pretrained(dtype="auto")': "__import__('cheap_pipeline').pipeline()",
            },
        )
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        monkeypatch.setenv("RAY_worker_niceness", "0")  # else it starves beside other work
        try:
            names: dict[str, Any] = {"__name__": "recipe"}
            exec(text, names)
            import pyarrow.parquet as pq

            rows = pq.read_table(tmp_path / "rows").to_pylist()
            assert sorted(row["status"] for row in rows) == ["done", "done"]
            given = {
                "out": paths["RESULTS"],
                "settings": Segment("x", pipeline=names["pipeline"]).settings,
            }
            videos = [Path(paths["VIDEOS"]) / f"{name}.mp4" for name in "abc"]
            found = list(run_on_ray(videos, given, RayOptions("local", 1)))
            assert {Path(o.path).stem: o.status for o in found} == {
                **dict.fromkeys("ab", Status.before),
                "c": Status.failed,
            }
            assert ray.is_initialized()  # it was, before
        finally:
            ray.shutdown()

    def test_no_cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ray = pytest.importorskip("ray")

        def refuse(**_: object) -> None:
            raise ConnectionError("Could not find any running Ray instance.")

        monkeypatch.setattr(ray, "init", refuse)
        with pytest.raises(CoPropError, match="cannot reach a Ray cluster at auto"):
            list(run_on_ray([Path("a.mp4")], {}, RayOptions("auto")))

    def test_without_ray(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(MissingPackageError, match=r'pip install "coprop\[ray\]"'):
            list(run_on_ray([Path("a.mp4")], {}, RayOptions("local")))
