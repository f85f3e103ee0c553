"""A hub on disk: repositories that are fetched from a folder, and a cache as the hub's own is."""

from __future__ import annotations

import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """In place of the hub: repositories are folders in one, and what is asked is noted.

    Attributes:
        asked: for each call the repository, and the names of the files that were fetched.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.root, self.cache = root / "repositories", root / "fetched"
        self.asked: list[tuple[str, list[str]]] = []
        self.fault: Exception | None = None
        monkeypatch.setattr("huggingface_hub.snapshot_download", self.snapshot_download)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda token=None: self)

    def snapshot_download(
        self,
        name: str,
        *,
        revision: str | None,
        allow_patterns: list[str],
        ignore_patterns: list[str] | None,
        local_files_only: bool,
    ) -> str:
        if self.fault is not None:
            raise self.fault
        source = self.root / name
        if not source.is_dir():
            raise hub_error("RepositoryNotFoundError")
        files = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
        wanted = [
            file
            for file in sorted(files)
            if any(fnmatch(file, pattern) for pattern in allow_patterns)
            and not any(fnmatch(file, pattern) for pattern in ignore_patterns or ())
        ]
        for file in wanted:
            target = self.cache / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target)
        self.asked.append((name, wanted))
        return str(self.cache / name)

    def create_repo(self, repo_id: str, private: bool | None, exist_ok: bool) -> Any:
        assert exist_ok
        return SimpleNamespace(repo_id=repo_id if "/" in repo_id else f"me/{repo_id}")

    def upload_folder(self, repo_id: str, folder_path: str, **options: Any) -> str:
        shutil.copytree(folder_path, self.root / repo_id, dirs_exist_ok=True)
        self.asked.append((repo_id, [str(options["revision"])]))
        return f"https://hub/{repo_id}/commit"


def hub_error(name: str) -> Exception:
    """An error of huggingface_hub's, as an answer of the hub makes it."""
    import httpx2
    from huggingface_hub import errors

    request = httpx2.Request("GET", "https://hub/owner/name")
    made: Exception = getattr(errors, name)("no", response=httpx2.Response(404, request=request))
    return made


def cached(monkeypatch: pytest.MonkeyPatch, cache: Path, name: str, source: Path) -> None:
    """Puts a folder into a cache of the hub's own form, as if it had been fetched."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    folder = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, folder / "snapshots" / COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
