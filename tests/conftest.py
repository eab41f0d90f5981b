"""What all tests share: one Hypothesis profile, deterministic and without deadlines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, Phase, settings

from graphcnn.cli.main import cli

# TensorFlow reads these when it is imported, which any test may be the first to do. Its oneDNN
# kernels are wrong for a convolution of one channel whose stride is larger than what is left of the
# row (2.21: kernel (1, 2), stride (1, 2) on 2x3 reads outside of the image).
os.environ.update(
    CUDA_VISIBLE_DEVICES="-1",
    KERAS_BACKEND="tensorflow",
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_ENABLE_ONEDNN_OPTS="0",
    TF_NUM_INTEROP_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
)

pytest.register_assert_rewrite("tests.keras_twin", "tests.onnx_checks")

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("explore", settings.get_profile("ci"), derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session", autouse=True)
def help_options() -> None:
    """Make each command's -h and --help: click keeps what the first call, of any test, makes."""
    top = click.Context(cli, **cli.context_settings)
    for command in cli.commands.values():
        command.get_help_option(click.Context(command, parent=top))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Rewrite tests/golden.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file of tests/golden, or rewrite it under ``--update-golden``."""
    folder, update = Path(__file__).parent / "golden", request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        file = folder / name
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")
        assert file.is_file(), f"{file} is missing: pytest --update-golden writes it"
        assert f"{text}\n" == file.read_text(), "pytest --update-golden accepts the change"

    return compare
