"""Settings, and that they reach onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from graphcnn.errors import OptionError, RuntimeFailure
from graphcnn.runtime.session import installed_providers, open_session
from graphcnn.runtime.settings import Settings


class TestSettings:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("provider", "gpu"),
            ("threads", 0),
            ("threads", 1025),
            ("threads", 2.5),
            ("threads", True),
            ("optimization", "most"),
            ("spinning", 1),
            ("micro_batch", -1),
        ],
    )
    def test_wrong_values(self, field: str, value: object) -> None:
        with pytest.raises(OptionError, match=rf"^{field}: expected .*, found"):
            Settings(**{field: value})  # type: ignore[arg-type]

    def test_on_another_provider(self) -> None:
        settings = Settings(threads=3, provider="cuda")
        assert settings.on("cpu") == Settings(threads=3, provider="cpu")
        assert settings.on(None) is settings


class TestOpening:
    def test_they_reach_onnxruntime(self, by_hand: Path) -> None:
        settings = Settings(threads=3, optimization="basic", spinning=False)
        options = open_session(by_hand, settings).get_session_options()
        assert options.intra_op_num_threads == 3
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        assert options.graph_optimization_level == level
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"

    def test_the_defaults_are_those_of_onnxruntime(self, by_hand: Path) -> None:
        options, default = open_session(by_hand).get_session_options(), onnxruntime.SessionOptions()
        for name in ("intra_op_num_threads", "graph_optimization_level", "enable_mem_pattern"):
            assert getattr(options, name) == getattr(default, name)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"

    def test_one_run_is_not_prepared_for(self, by_hand: Path) -> None:
        options = open_session(by_hand, Settings(), optimize=False).get_session_options()
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        assert options.graph_optimization_level == level
        assert not options.enable_mem_pattern
        assert not options.enable_cpu_mem_arena

    @pytest.mark.parametrize(("provider", "hint"), [("cuda", "gpu"), ("openvino", "openvino")])
    def test_a_provider_that_is_not_installed(
        self, by_hand: Path, monkeypatch: pytest.MonkeyPatch, provider: Any, hint: str
    ) -> None:
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
        )
        assert installed_providers() == ["cpu"]
        with pytest.raises(RuntimeFailure, match=f"^{provider} was asked for") as caught:
            open_session(by_hand, Settings(provider=provider))
        assert "pip install" in str(caught.value.hint)
        assert hint in str(caught.value.hint)

    def test_a_provider_whose_libraries_are_missing(
        self, by_hand: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Onnxruntime goes on without it, or says that it does not know it."""
        both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        opened = onnxruntime.InferenceSession
        asked: list[Any] = []

        def without(source: Any, options: Any, providers: Any, **rest: Any) -> Any:
            asked.append(providers)
            return opened(source, options, providers=["CPUExecutionProvider"], **rest)

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
        monkeypatch.setattr(onnxruntime, "InferenceSession", without)
        with pytest.raises(RuntimeFailure, match="libraries it needs could not be loaded"):
            open_session(by_hand, Settings(provider="cuda"))
        assert open_session(by_hand).get_providers() == ["CPUExecutionProvider"]
        assert [[name for name, _ in providers] for providers in asked] == [both, both]

    def test_openvino_is_given_its_threads(
        self, by_hand: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[Any] = []

        class Opened:
            def __init__(self, source: Any, options: Any, providers: Any, **_: Any) -> None:
                asked.extend(providers)

            def get_providers(self) -> list[str]:
                return [name for name, _ in asked]

        names = ["OpenVINOExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
        monkeypatch.setattr(onnxruntime, "InferenceSession", Opened)
        assert installed_providers() == ["cpu", "openvino"]
        open_session(by_hand, Settings(provider="openvino", threads=2))
        assert asked[0] == (names[0], {"device_type": "CPU", "num_of_threads": "2"})
