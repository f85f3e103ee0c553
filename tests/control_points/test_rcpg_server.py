"""The paper's dialogue with a server, from the command line."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from chat_server import Asked, ChatServer, Reply, completion
from typer.testing import CliRunner

from coprop.cli import app
from coprop.control_points.rcpg.prompts import TABLE_2B
from scripted_models import RATE, stepped


def listens(asked: Asked) -> Reply:
    """Names a dog, and says where the first sound that was sent becomes louder or softer."""
    if "list" not in asked.words:
        return Reply(completion("There is one: a dog barking."))
    (sound,) = asked.sounds
    levels = [round(20 * float(np.median(part))) for part in np.split(sound, len(sound) // RATE)]
    flags = [1, *(int(a != b) for a, b in pairwise(levels))]
    return Reply(completion(f"The list is {flags}."))


def test_a_folder_of_sounds(tmp_path: Path) -> None:
    true = [[1, *(int(i == k) for i in range(1, 6))] for k in range(1, 6)]
    for number, flags in enumerate(true):
        path = tmp_path / "in" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, stepped(flags).samples, RATE, subtype="FLOAT")
    with ChatServer(listens) as server:
        command = [
            *("detect", str(tmp_path / "in"), "--llm", server.url, "--llm-model", "tiny"),
            *("--windows", "6", "--cache", str(tmp_path / "cache")),
        ]
        result = CliRunner().invoke(app, [*command, "--json"])
        assert result.exit_code == 0, result.output
        found = [json.loads(line) for line in result.stdout.splitlines()]
        assert [[w["flag"] for w in row["windows"]] for row in found] == true
        assert all(
            row["categories"] == [["dog barking"]] * len(row["control_points"]) for row in found
        )
        assert len(server.asked) == 15
        turns = [asked.body["messages"] for asked in server.asked if "list" in asked.words]
        assert {len(messages) for messages in turns} == {5}
        assert TABLE_2B.say(TABLE_2B.control_points, 6) in {a.words for a in server.asked}
        out = tmp_path / "out.jsonl"
        again = CliRunner().invoke(app, [*command, "--out", str(out)])
        assert again.exit_code == 0, again.output
        assert len(server.asked) == 15  # all from the cache
        assert len(out.read_text().splitlines()) == 5
