"""``deploy.json``: the settings that a file was found to run best with, written beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from graphcnn.errors import ErrorGroup, GraphCNNError, OptionError, RuntimeFailure
from graphcnn.files import replacing
from graphcnn.options import Options, build, shorten
from graphcnn.weight_files import file_digest

from .settings import Settings

FILE = "deploy.json"
"""Its name."""

_LARGEST = 2**20
"""A file of more bytes than this is not read."""

_MEND = "graphcnn tune writes it; without it, files run with the default settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Options):
    """What a file runs best with, where that was found out.

    Attributes:
        model: The name of the .onnx file, which lies in the same folder.
        sha256: Its digest, in hexadecimal; of external data there is none.
        size: Its bytes.
        settings: What it runs best with.
        processor: What the processor calls itself that this was found out on.
        onnxruntime: The version that it was found out with.
        measured: What was measured then, by name.

    Raises:
        OptionError: A field holds something else.
        ErrorGroup: Several fields do.
    """

    model: str
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Meta(gt=0)]
    settings: Settings
    processor: str
    onnxruntime: str
    measured: dict[str, float]

    @classmethod
    def of(
        cls, path: Path, settings: Settings, *, processor: str, measured: dict[str, float]
    ) -> Deployment:
        """The deployment of a file that is there, with the installed onnxruntime."""
        from .session import load_onnxruntime

        return cls(
            model=path.name,
            sha256=file_digest(path),
            size=path.stat().st_size,
            settings=settings,
            processor=processor,
            onnxruntime=load_onnxruntime().__version__,
            measured=measured,
        )

    def check(self) -> None:
        """Refuse a model in another folder."""
        if self.model in ("", "..") or Path(self.model).name != self.model:
            raise OptionError(
                f"model: expected the name of a file in the same folder, "
                f"found {shorten(self.model)}",
                path=("model",),
            )


def read_deployment(model: str | Path) -> Deployment | None:
    """What ``deploy.json`` says of a file.

    Args:
        model: The .onnx file.

    Returns:
        None where there is no ``deploy.json`` beside the file, or it is of another file.

    Raises:
        RuntimeFailure: It is damaged, or of other bytes under the file's name.
        ErrorGroup: Several of its keys are wrong.
    """
    model = Path(model)
    path = model.parent / FILE
    if not model.is_file() or not path.exists():
        return None
    found = _decoded(path)
    if found.model != model.name:
        return None
    if model.stat().st_size != found.size or file_digest(model) != found.sha256:
        raise RuntimeFailure(
            f"{path} was made for another {model.name}: "
            f"its {found.size:,} bytes had SHA-256 {found.sha256[:12]}...",
            hint=f"run graphcnn tune again, or delete {path}",
        )
    return found


def write_deployment(folder: Path, deployment: Deployment) -> Path:
    """Write ``deploy.json``, whole or not at all, and return its path.

    Raises:
        ExportError: It cannot be written.
    """
    path = folder / FILE
    with replacing(path) as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(deployment), indent=2) + b"\n")
    return path


def _decoded(path: Path) -> Deployment:
    try:
        return build(Deployment, _mapping(_parsed(path)))
    except GraphCNNError as error:
        found = [RuntimeFailure(f"{path}: {e.message}", hint=e.hint or _MEND) for e in error.errors]
        raise found[0] if len(found) == 1 else ErrorGroup(found) from None


def _parsed(path: Path) -> Any:
    try:
        if not path.is_file():
            raise RuntimeFailure("not a file")
        if (size := path.stat().st_size) > _LARGEST:
            raise RuntimeFailure(f"{size:,} bytes, and at most {_LARGEST:,} are read")
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise RuntimeFailure(f"it cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RuntimeFailure(f"it is not JSON: {error}") from None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise OptionError(f"expected a mapping, found {shorten(value)}")
    return value
