"""A folder that appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphcnn.errors import ExportError
from graphcnn.folders import new_folder


def test_a_new_folder_and_an_empty_one_are_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with new_folder(tmp_path / name, force=False) as partial:
            (partial / "a").write_text(name)
            assert not list((tmp_path / name).glob("*"))
        assert (tmp_path / name / "a").read_text() == name
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"new", "empty"}


def test_force_replaces_files_of_the_same_name_alone(tmp_path: Path) -> None:
    target = tmp_path / "full"
    target.mkdir()
    (target / "a").write_text("old")
    (target / "mine").write_text("mine")
    with pytest.raises(ExportError, match="not empty"), new_folder(target, force=False):
        pass
    with new_folder(target, force=True) as partial:
        (partial / "a").write_text("new")
    assert (target / "a").read_text() == "new"
    assert (target / "mine").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ExportError("no"), SystemExit(143)])
def test_nothing_is_left_of_a_failure(tmp_path: Path, error: BaseException) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "new", force=False) as partial:
            (partial / "a").write_text("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target, problem in (("file", "is not a directory"), ("no/where", "is not a directory")):
        with pytest.raises(ExportError, match=problem), new_folder(tmp_path / target, force=True):
            pass
