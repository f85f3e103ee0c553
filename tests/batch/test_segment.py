"""`coprop.batch.Segment`: a batch in, rows and folders out; what is complete, and what is not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cheap_pipeline import pipeline, without_drawing

from coprop.batch import Segment
from coprop.batch.content import content_id
from coprop.batch.index import write_index
from coprop.batch.rows import Outcome, Status
from coprop.errors import CheckpointError, CoPropError, OutputError
from coprop.storage.locks import WriterLock
from small_clips import write_clip

ADDED = {"id", "status", "folder", "error", "num_frames", "duration_s", "seconds"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", frames=2)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    import coprop.media.writer as writer

    monkeypatch.setattr(writer, "plot_timeline", writer.plot_timeline)  # put back afterwards


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class TestBatches:
    def test_every_kind_comes_back_as_what_it_came(self, clip: Path, tmp_path: Path) -> None:
        pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
        segment = Segment(tmp_path / "out", pipeline=without_drawing)
        given = {"path": [str(clip), str(tmp_path / "none.mp4")], "label": [3, 4]}
        rows = segment(given)
        assert set(given) == {"path", "label"}
        assert set(rows) == {"path", "label"} | ADDED
        assert rows["status"] == ["done", "failed"]
        assert rows["folder"] == [str(tmp_path / "out" / content_id(clip)), None]
        assert rows["num_frames"] == [2, None]
        assert "no such file" in rows["error"][1]
        arrays = segment({"path": np.array(given["path"]), "label": np.array([3, 4])})
        assert list(arrays["status"]) == ["done before", "failed"]
        assert all(isinstance(values, np.ndarray) for values in arrays.values())
        frame = segment(pandas.DataFrame(given))
        assert frame["status"].tolist() == ["done before", "failed"]
        assert frame["label"].tolist() == [3, 4]
        table = segment(pyarrow.table(given))
        assert segment(table)["status"].to_pylist() == ["done before", "failed"]
        assert table["label"].to_pylist() == [3, 4]

    def test_what_is_no_batch(self, tmp_path: Path) -> None:
        segment = Segment(tmp_path / "out", pipeline=pipeline, column="video")
        with pytest.raises(CoPropError, match="no column 'video' but path"):
            segment({"path": ["a.mp4"]})
        with pytest.raises(CoPropError, match="a batch is"):
            segment(["a.mp4"])
        with pytest.raises(CoPropError, match="video must be a path"):
            segment({"video": [3]})

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"out": 3}, "out must be a path"),
            ({"pipeline": "default"}, "must be a function"),
            ({"exports": ["gif"]}, "no export 'gif'"),
        ],
    )
    def test_arguments(self, given: dict[str, Any], said: str, tmp_path: Path) -> None:
        with pytest.raises(CoPropError, match=said):
            Segment(**{"out": tmp_path, **given})

    def test_it_is_pickled_without_its_models(self, clip: Path, tmp_path: Path) -> None:
        segment = Segment(tmp_path / "out", pipeline=without_drawing)
        segment.one(clip)
        size = len(pickle.dumps(segment))
        assert size < 2000
        again = pickle.loads(pickle.dumps(segment))
        assert again.one(clip).status is Status.before


class TestFolder:
    def test_a_result_with_its_row_and_exports(self, clip: Path, tmp_path: Path) -> None:
        outcome = Segment(tmp_path, pipeline=without_drawing, exports=["csv"]).one(clip)
        assert outcome.status is Status.done
        folder = tmp_path / str(outcome.id)
        assert names(folder) == {
            *("masks", "overlay.mp4", "timeline.png", "result.json", "video.json", "exports")
        }
        row = json.loads((folder / "video.json").read_text())["row"]
        assert row["exports"] == ["csv"]
        assert (row["num_frames"], row["width"], row["height"]) == (2, 64, 48)
        assert set(row["timings"]) == {"seconds"}
        assert names(tmp_path) == {outcome.id, "collection.json"}

    def test_what_a_kill_leaves_is_not_complete(self, clip: Path, tmp_path: Path) -> None:
        segment = Segment(tmp_path, pipeline=without_drawing)
        segment.open()
        part = tmp_path / f".{content_id(clip)}.part"
        part.mkdir()
        (part / "result.json").write_text("{}")
        (tmp_path / f".{part.name}.coprop.lock").write_text("")
        assert segment.one(clip).status is Status.done
        assert names(tmp_path) == {content_id(clip), "collection.json"}

    def test_other_settings(self, clip: Path, tmp_path: Path) -> None:
        Segment(tmp_path, pipeline=without_drawing, settings={"threshold": 1}).one(clip)
        other = {"pipeline": without_drawing, "settings": {"threshold": 2, "model": "m"}}
        with pytest.raises(OutputError, match=r"other settings \(model, threshold differ\)"):
            Segment(tmp_path, **other).one(clip)
        anew = Segment(tmp_path, **other, force=True)
        assert anew.one(clip).status is Status.done
        assert Segment(tmp_path, **other).one(clip).status is Status.before
        with pytest.raises(OutputError, match="other settings"):
            Segment(tmp_path, pipeline=pipeline, settings={"threshold": 1}).one(clip)

    def test_a_damaged_result_is_done_again(self, clip: Path, tmp_path: Path) -> None:
        segment = Segment(tmp_path, pipeline=without_drawing)
        folder = tmp_path / str(segment.one(clip).id)
        (folder / "video.json").write_text("{")
        assert segment.one(clip).status is Status.done
        (folder / "result.json").unlink()
        assert segment.one(clip).status is Status.done
        assert (folder / "result.json").exists()

    def test_what_is_no_collection_is_left_alone(self, clip: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("")
        with pytest.raises(OutputError, match="not empty"):
            Segment(tmp_path, pipeline=pipeline).one(clip)
        taken = Segment(tmp_path, pipeline=without_drawing, force=True)
        (tmp_path / content_id(clip)).mkdir()
        with pytest.raises(OutputError, match="no result of a collection"):
            taken.one(clip)
        assert names(tmp_path) == {"mine.txt", "collection.json", content_id(clip)}
        (tmp_path / "collection.json").write_text("3")
        with pytest.raises(OutputError, match="damaged"):
            Segment(tmp_path, pipeline=pipeline).one(clip)
        with pytest.raises(OutputError, match="is a file"):
            Segment(clip, pipeline=pipeline).one(clip)

    def test_two_do_not_work_on_one_video(self, clip: Path, tmp_path: Path) -> None:
        segment = Segment(tmp_path, pipeline=without_drawing)
        with WriterLock.of_file(tmp_path / f".{content_id(clip)}.part"):
            assert segment.one(clip, wait=False).status is Status.elsewhere
        assert segment.one(clip, wait=False).status is Status.done


class TestErrors:
    def test_one_bad_video_stops_nothing(self, clip: Path, tmp_path: Path) -> None:
        silent = write_clip(tmp_path / "silent.mp4", frames=2, sound=False)
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(clip.read_bytes()[:500])
        segment = Segment(tmp_path / "out", pipeline=without_drawing)
        rows = segment({"path": [str(silent), str(broken), str(clip)]})
        assert rows["status"] == ["failed", "failed", "done"]
        assert "no audio track" in rows["error"][0]
        assert "cannot be opened" in rows["error"][1]
        assert names(tmp_path / "out") == {"collection.json", content_id(clip)}

    @pytest.mark.parametrize(
        "error", [RuntimeError("out of memory"), FileNotFoundError("no names.txt")]
    )
    def test_an_error_of_a_library_too(
        self, error: Exception, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("coprop.pipeline.CoProp.detect", fail)
        outcome = Segment(tmp_path, pipeline=pipeline).one(clip)
        assert outcome.error == f"{type(error).__name__}: {error}"

    def test_models_and_disks_stop_all(
        self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken() -> Any:
            raise CheckpointError("no weights")

        with pytest.raises(CheckpointError):
            Segment(tmp_path / "a", pipeline=broken).one(clip)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("coprop.media.writer.save_labels", full)
        with pytest.raises(OutputError, match="No space left"):
            Segment(tmp_path / "b", pipeline=pipeline).one(clip)
        assert names(tmp_path / "b") == {"collection.json"}


class TestIndex:
    def test_rows_of_others_stay_and_order_leaves_no_trace(
        self, clip: Path, tmp_path: Path
    ) -> None:
        other = write_clip(tmp_path / "zoo.mp4", frames=3)
        texts = []
        for turn in (0, 1):
            segment = Segment(tmp_path / f"out{turn}", pipeline=without_drawing)
            found = [(segment.one(path), ()) for path in (clip, other)]
            found.append((Outcome.failure(tmp_path / "a.mp4", "none"), (tmp_path / "b.mp4",)))
            for each in found[:: -1 if turn else 1]:
                write_index(segment.folder, [each])
            rows = _index(segment.out)
            for row in rows:
                row["timings"] = None
            texts.append(rows)
        assert texts[0] == texts[1]
        assert [row["status"] for row in texts[0]].count("failed") == 1
        failed = next(row for row in texts[0] if row["status"] == "failed")
        assert failed["paths"] == [str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")]
        assert list(failed) == list(texts[0][0])

    def test_it_follows_what_is_there(self, clip: Path, tmp_path: Path) -> None:
        segment = Segment(tmp_path / "out", pipeline=without_drawing)
        segment.open()
        failure = Outcome.failure(clip, "it was locked")
        write_index(segment.folder, [(failure, ())])
        outcome = segment.one(clip)
        write_index(segment.folder, [(outcome, (Path("/copy"),))])
        (row,) = _index(segment.out)
        assert (row["status"], row["paths"]) == ("done", sorted([str(clip), "/copy"]))
        write_index(segment.folder, [(Outcome.failure(Path("/copy"), "gone"), ())])
        assert [r["paths"] for r in _index(segment.out)] == [["/copy"], [str(clip)]]

    @pytest.mark.parametrize("change", [{"paths": 3}, {"path": None}, {"folder": 3}, {"error": []}])
    def test_a_damaged_row_is_told(self, change: dict[str, Any], tmp_path: Path) -> None:
        segment = Segment(tmp_path, pipeline=without_drawing)
        segment.open()
        found = [(Outcome.failure(Path("/a.mp4"), "gone"), ())]
        write_index(segment.folder, found)
        (row,) = _index(tmp_path)
        (tmp_path / "index.jsonl").write_text(json.dumps({**row, **change}) + "\n")
        with pytest.raises(OutputError, match=r"line 1 is damaged: .* Remove it"):
            write_index(segment.folder, found)

    def test_parquet_says_the_same(self, clip: Path, tmp_path: Path) -> None:
        pq = pytest.importorskip("pyarrow.parquet")
        segment = Segment(tmp_path / "out", pipeline=without_drawing)
        odd = Outcome.failure(tmp_path / "\udcff.mp4", "bad name")
        assert write_index(segment.folder, [(segment.one(clip), ()), (odd, ())]) is None
        rows = pq.read_table(segment.out / "index.parquet").to_pylist()
        wanted = _index(segment.out)
        assert [row["id"] for row in rows] == [row["id"] for row in wanted]
        done = [row for row in rows if row["status"] == "done"]
        assert done == [row for row in wanted if row["status"] == "done"]

    def test_without_pyarrow_it_is_told(
        self, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        segment = Segment(tmp_path / "out", pipeline=without_drawing)
        found = [(segment.one(clip), ())]
        (segment.out / "index.parquet").write_text("of an earlier state")
        monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
        said = write_index(segment.folder, found)
        assert said is not None
        assert 'pip install "coprop[parquet]"' in said
        assert len(_index(segment.out)) == 1
        assert not (segment.out / "index.parquet").exists()


def _index(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
