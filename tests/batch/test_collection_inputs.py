"""Which videos a collection has: folders, lists, copies, and what cannot be read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from coprop.batch.content import content_id
from coprop.batch.inputs import Source, find_videos, shard_of, without_copies
from coprop.batch.lists import is_list, read_list
from coprop.errors import MediaError


def file(path: Path, content: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(path) if content is None else content)
    return path


def found(given: list[Path], out: Path) -> list[str]:
    return [source.path.name for source in find_videos(given, out).sources]


class TestContent:
    def test_it_is_what_sha256sum_prints(self, tmp_path: Path) -> None:
        path = file(tmp_path / "a.mp4", "x" * 3_000_000)
        assert content_id(path) == hashlib.sha256(path.read_bytes()).hexdigest()[:20]
        assert content_id(file(tmp_path / "other", "x" * 3_000_000)) == content_id(path)

    def test_what_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        (tmp_path / "link.mp4").symlink_to("nowhere.mp4")
        (tmp_path / "folder.mp4").mkdir()
        said = {
            "pipe.mp4": "no regular file",
            "link.mp4": "link to nowhere.mp4",
            "folder.mp4": "directory",
            "none.mp4": "no such file",
        }
        for name, words in said.items():
            with pytest.raises(MediaError, match=words):
                content_id(tmp_path / name)
        path = file(tmp_path / "secret.mp4")
        monkeypatch.setattr(Path, "open", _refuse)  # root may read everything
        with pytest.raises(MediaError, match="cannot be read: Permission denied"):
            content_id(path)

    def test_what_changes_meanwhile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = file(tmp_path / "growing.mp4")
        opened = Path.open

        def grow(self: Path, *args: str) -> object:
            with opened(self, "ab") as more:
                more.write(b"more")
            return opened(self, *args)

        monkeypatch.setattr(Path, "open", grow)
        with pytest.raises(MediaError, match="changed while it was read"):
            content_id(path)


def _refuse(self: Path, *args: str) -> object:
    raise PermissionError(13, "Permission denied", str(self))


class TestLists:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("list.txt", "# mine\na.mp4\r\n\nsub/ b.mp4 \n"),
            ("list.csv", "\ufeffid,Path\n1,a.mp4\n\n2,sub/ b.mp4 \n"),
            ("list.tsv", "video\tlabel\na.mp4\tx\nsub/ b.mp4 \ty\n"),
            ("one.csv", "a.mp4\nsub/ b.mp4 \n"),
            ("list.jsonl", '{"path": "a.mp4", "id": 1}\n"sub/ b.mp4 "\n\n'),
        ],
    )
    def test_forms(self, name: str, text: str, tmp_path: Path) -> None:
        path = file(tmp_path / name, text)
        assert is_list(path)
        assert read_list(path) == [tmp_path / "a.mp4", tmp_path / "sub/ b.mp4 "]

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("list.txt", "\n# nothing\n", "names no video"),
            ("list.csv", "id,name\n1,2\n", "columns id, name, and none"),
            ("list.csv", "path,id\n,1\n", "line 2 names no video"),
            ("list.csv", 'path\n"a\nb', None),
            ("list.jsonl", '{"path": "a"}\n{', "line 2 is no JSON"),
            ("list.jsonl", '{"name": "a"}', "line 1 names no video"),
            ("list.jsonl", "3", "line 1 names no video"),
            ("list.txt", "a\0b", "NUL"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, name: str, text: str, said: str | None, tmp_path: Path
    ) -> None:
        path = file(tmp_path / name, text)
        if said is None:
            assert len(read_list(path)) == 1
            return
        with pytest.raises(MediaError, match=said) as caught:
            read_list(path)
        assert str(path) in str(caught.value)

    def test_a_list_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="no such file"):
            find_videos([tmp_path / "none.csv"], tmp_path / "out")

    def test_beside_the_list_first_then_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file(tmp_path / "lists" / "a.mp4")
        file(tmp_path / "a.mp4")
        file(tmp_path / "b.mp4")
        path = file(tmp_path / "lists" / "list.txt", "a.mp4\nb.mp4\n")
        monkeypatch.chdir(tmp_path)
        assert read_list(path) == [tmp_path / "lists" / "a.mp4", Path("b.mp4")]

    def test_homes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        path = file(tmp_path / "list.txt", "~/a.mp4\n~$draft.mp4\n")
        assert read_list(path) == [tmp_path / "home" / "a.mp4", tmp_path / "~$draft.mp4"]

    def test_semicolons_of_spreadsheets(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text('label;"Video"\r\n1,5;a.mp4\r\n2,5;"b;c.mp4"\r\n')
        assert read_list(path) == [tmp_path / "a.mp4", tmp_path / "b;c.mp4"]
        path.write_text("path\na;b.mp4\n")
        assert read_list(path) == [tmp_path / "a;b.mp4"]

    def test_an_index_is_a_list(self, tmp_path: Path) -> None:
        path = file(tmp_path / "index.jsonl", json.dumps({"id": None, "path": "/x/a.mp4"}))
        assert read_list(path) == [Path("/x/a.mp4")]


class TestFolders:
    def test_what_is_taken(self, tmp_path: Path) -> None:
        for name in ("b.mp4", "a.MOV", "deep/er/c.mkv", "deep/._b.mp4", ".hidden/d.mp4"):
            file(tmp_path / "in" / name)
        for name in ("notes.txt", "sound.wav", "picture.png", "Thumbs.db", "code.ts"):
            file(tmp_path / "in" / name, "text\n")
        assert found([tmp_path / "in"], tmp_path / "out") == ["a.MOV", "b.mp4", "c.mkv"]

    def test_results_are_no_videos(self, tmp_path: Path) -> None:
        file(tmp_path / "a.mp4")
        file(tmp_path / "out" / "x" / "overlay.mp4")  # not yet complete
        file(tmp_path / "earlier" / "overlay.mp4")
        file(tmp_path / "earlier" / "result.json")
        file(tmp_path / "earlier" / "exports" / "muted.mp4")
        (tmp_path / "earlier" / "masks").mkdir()
        assert found([tmp_path], tmp_path / "out") == ["a.mp4"]

    def test_links(self, tmp_path: Path) -> None:
        file(tmp_path / "elsewhere" / "a.mp4")
        inside = tmp_path / "in"
        inside.mkdir()
        (inside / "linked").symlink_to(tmp_path / "elsewhere")
        (inside / "again").symlink_to(tmp_path / "elsewhere")
        (inside / "round").symlink_to(inside)
        (inside / "nowhere.mp4").symlink_to("none")
        assert found([inside], tmp_path / "out") == ["a.mp4", "nowhere.mp4"]

    def test_without_videos(self, tmp_path: Path) -> None:
        file(tmp_path / "in" / "notes.txt")
        (tmp_path / "empty").mkdir()
        for name in ("in", "empty"):
            with pytest.raises(MediaError, match="without videos"):
                find_videos([tmp_path / name], tmp_path / "out")

    def test_a_folder_that_cannot_be_searched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file(tmp_path / "in" / "a.mp4")
        locked = tmp_path / "in" / "locked"
        locked.mkdir()
        scan = os.scandir

        def refuse(path: object) -> object:
            if os.fspath(path) == str(locked):  # type: ignore[call-overload]
                raise PermissionError(13, "Permission denied", str(locked))
            return scan(path)  # type: ignore[call-overload]

        monkeypatch.setattr(os, "scandir", refuse)
        inputs = find_videos([tmp_path / "in"], tmp_path / "out")
        assert [source.path.name for source in inputs.sources] == ["a.mp4"]
        ((path, said),) = inputs.failures
        assert path == locked
        assert "Permission denied" in said

    def test_named_files_are_taken_as_they_are(self, tmp_path: Path) -> None:
        given = [file(tmp_path / "film.xyz"), tmp_path / "none.mp4", file(tmp_path / ".a.mp4")]
        assert found(given, tmp_path / "out") == ["film.xyz", "none.mp4", ".a.mp4"]

    def test_parts_of_the_results_are_refused(self, tmp_path: Path) -> None:
        file(tmp_path / "out" / "collection.json")
        own = file(tmp_path / "out" / "x" / "overlay.mp4")
        with pytest.raises(MediaError, match="part of the results"):
            find_videos([own], tmp_path / "out")


def test_copies_are_one(tmp_path: Path) -> None:
    names = {"b": "12", "a": "34", "c": "12", "d": "5", "none": None, "e": "34", "f": "12"}
    paths = [tmp_path / name for name in names]
    for path, content in zip(paths, names.values(), strict=True):
        if content is not None:
            file(path, content)
    b, a, c, d, none, e, f = paths
    assert without_copies(paths) == [
        *(Source(b, (c, f)), Source(a, (e,)), Source(d), Source(none)),
    ]


def test_shards_share_all_and_copies_stay_together(tmp_path: Path) -> None:
    sources = without_copies([file(tmp_path / str(i), str(i // 2)) for i in range(14)])
    shards = [shard_of(sources, (i, 3)) for i in (1, 2, 3)]
    assert sorted((s for shard in shards for s in shard), key=str) == sorted(sources, key=str)
    assert [len(shard) for shard in shards] == [3, 2, 2]
