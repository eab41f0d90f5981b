"""``deploy.json``: what is read, what is refused, and where it applies."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import graphcnn
from graphcnn.cli.run import command
from graphcnn.errors import ErrorGroup, GraphCNNError, OptionError, RuntimeFailure
from graphcnn.runtime.deploy import Deployment, read_deployment, write_deployment
from graphcnn.runtime.settings import Settings

TUNED = Settings(provider="cpu", threads=2, optimization="extended", micro_batch=3)


def deployed(model: Path) -> Deployment:
    """A deployment of the file, written beside it."""
    made = Deployment.of(model, TUNED, processor="a processor", measured={"latency_ms": 1.5})
    assert write_deployment(model.parent, made) == model.parent / "deploy.json"
    return made


def edited(model: Path, change: Callable[[dict[str, Any]], object]) -> None:
    deployed(model)
    path = model.parent / "deploy.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def refusal(model: Path) -> GraphCNNError:
    with pytest.raises(GraphCNNError) as caught:
        read_deployment(model)
    for error in caught.value.errors:
        assert isinstance(error, RuntimeFailure)
        assert error.message.startswith(f"{model.parent / 'deploy.json'}")
        assert error.hint
        assert len(error.message) < 500
    return caught.value


class TestReading:
    def test_there_and_back(self, by_hand: Path) -> None:
        made = deployed(by_hand)
        assert read_deployment(by_hand) == made
        assert (made.model, made.size) == (by_hand.name, by_hand.stat().st_size)
        assert [path.name for path in by_hand.parent.iterdir()].count("deploy.json") == 1

    def test_relative_to_the_working_folder(
        self, by_hand: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = deployed(by_hand)
        monkeypatch.chdir(by_hand.parent)
        assert read_deployment(by_hand.name) == made

    def test_none(self, by_hand: Path) -> None:
        assert read_deployment(by_hand) is None
        assert read_deployment(by_hand.parent / "missing.onnx") is None

    def test_of_another_file(self, by_hand: Path, classifier: Path) -> None:
        deployed(by_hand)
        assert read_deployment(classifier) is None

    @pytest.mark.parametrize("same_size", [True, False])
    def test_of_other_bytes(self, by_hand: Path, same_size: bool) -> None:
        deployed(by_hand)
        content = by_hand.read_bytes()
        by_hand.write_bytes(content[:-1] + (b"\x00" if same_size else b""))
        error = refusal(by_hand)
        assert "made for another by_hand.onnx" in error.message
        assert "graphcnn tune again, or delete" in str(error.hint)

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            (b"", "not JSON"),
            (b"{", "not JSON"),
            (b'{"a": 1} b', "not JSON"),
            (b"\xff\xfe", "not JSON"),
            (b'{"size": NaN}', "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b'"' + b"a" * 2**20 + b'"', "at most 1,048,576 are read"),
            (b"[]", "expected a mapping, found []"),
            (b"null", "expected a mapping, found null"),
            (b"{}", "missing model, sha256, size, settings, processor, onnxruntime, measured"),
        ],
    )
    def test_damaged(self, by_hand: Path, content: bytes, found: str) -> None:
        (by_hand.parent / "deploy.json").write_bytes(content)
        assert found in refusal(by_hand).message

    def test_not_a_file(self, by_hand: Path) -> None:
        os.mkfifo(by_hand.parent / "deploy.json")
        assert "not a file" in refusal(by_hand).message

    @pytest.mark.parametrize(
        ("key", "value", "found"),
        [
            ("model", 3, "expected text, found 3"),
            ("model", "../by_hand.onnx", "a file in the same folder, found '../by_hand.onnx'"),
            ("model", "/etc/passwd", "a file in the same folder, found '/etc/passwd'"),
            ("model", "..", "a file in the same folder"),
            ("model", "", "a file in the same folder"),
            ("sha256", "0" * 63, "sha256: expected"),
            ("size", 0, "size: expected"),
            ("size", "12", "size: expected an integer, found '12'"),
            ("settings", [], "settings: expected a mapping, found []"),
            ("settings", {"threads": 0}, "settings: threads: expected"),
            ("settings", {"provider": "gpu"}, "settings: provider: expected"),
            ("settings", {"thread": 2}, "settings: unknown key 'thread'"),
            (
                "measured",
                {"latency_ms": "fast"},
                "measured: expected a number, found {",
            ),
            ("more", 1, "unknown key 'more'"),
        ],
    )
    def test_wrong_values(self, by_hand: Path, key: str, value: object, found: str) -> None:
        edited(by_hand, lambda content: content.update({key: value}))
        assert found in refusal(by_hand).message

    def test_everything_wrong_is_listed(self, by_hand: Path) -> None:
        edited(by_hand, lambda content: content.update(size=-1, model="", processor=None, x=1))
        error = refusal(by_hand)
        assert isinstance(error, ErrorGroup)
        assert len(error.errors) >= 3

    def test_an_unknown_key_is_near_one(self, by_hand: Path) -> None:
        edited(by_hand, lambda content: content["settings"].update(thread=2))
        assert refusal(by_hand).hint == "did you mean threads?"


class TestWriting:
    def test_what_cannot_be_read_is_not_made(self, by_hand: Path) -> None:
        made = deployed(by_hand)
        with pytest.raises(OptionError, match="same folder"):
            replace(made, model="folder/by_hand.onnx")

    def test_a_failure_leaves_what_was_there(
        self, by_hand: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = deployed(by_hand)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(GraphCNNError, match="No space left"):
            write_deployment(by_hand.parent, replace(made, processor="other"))
        assert read_deployment(by_hand) == made


class TestApplying:
    def test_to_a_session(self, by_hand: Path) -> None:
        deployed(by_hand)
        session = graphcnn.Session(by_hand)
        assert (session.settings, session.tuned) == (TUNED, True)
        own = graphcnn.Session(by_hand, Settings(threads=1))
        assert (own.settings, own.tuned) == (Settings(threads=1), False)

    def test_a_provider_takes_the_place_of_its_own(self, by_hand: Path) -> None:
        deployed(by_hand)
        session = graphcnn.Session(by_hand, provider="auto")
        assert session.settings == replace(TUNED, provider="auto")

    def test_a_damaged_one_stops_a_session(self, by_hand: Path) -> None:
        (by_hand.parent / "deploy.json").write_text("{")
        with pytest.raises(RuntimeFailure, match="not JSON"):
            graphcnn.Session(by_hand)
        assert not graphcnn.Session(by_hand, Settings()).tuned

    def test_run_says_so(self, by_hand: Path, hand_image: np.ndarray) -> None:
        np.save(by_hand.parent / "x.npy", hand_image)
        arguments = [str(by_hand), str(by_hand.parent / "x.npy")]

        def printed(*more: str) -> str:
            result = CliRunner().invoke(command, [*arguments, *more])
            assert result.exception is None, result.exception
            return result.stdout

        assert json.loads(printed("--json"))["tuned"] is None
        assert "deploy.json" not in printed()
        deployed(by_hand)
        assert (
            "settings of deploy.json: provider=cpu, threads=2, optimization=extended, "
            "spinning=true, micro_batch=3" in " ".join(printed().split())
        )
        assert json.loads(printed("--json", "--provider", "auto"))["tuned"] == {
            "provider": "auto",
            "threads": 2,
            "optimization": "extended",
            "spinning": True,
            "micro_batch": 3,
        }
