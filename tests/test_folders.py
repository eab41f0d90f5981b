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
            assert not (tmp_path / name / "a").exists()
        assert (tmp_path / name / "a").read_text() == name
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert names == {"new", "empty", "new/a", "empty/a"}


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


@pytest.mark.parametrize("full", [False, True])
def test_a_link_is_the_folder_that_it_leads_to(tmp_path: Path, full: bool) -> None:
    (tmp_path / "link").symlink_to("there")
    if full:
        (tmp_path / "there").mkdir()
    with new_folder(tmp_path / "link", force=False) as partial:
        (partial / "a").write_text("new")
    assert (tmp_path / "there" / "a").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"link", "there"}


def test_the_working_directory_stays_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with new_folder(Path(), force=False) as partial:
        (partial / "a").write_text("new")
    assert [path.name for path in Path.cwd().iterdir()] == ["a"]
    assert tmp_path.samefile(Path())


def test_a_folder_in_the_way_is_found_before_a_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_text("old")

    def write() -> None:
        with new_folder(tmp_path, force=True) as partial:
            for name in "abc":
                (partial / name).write_text("new")

    with pytest.raises(ExportError, match="b would be written, and is a folder"):
        write()
    assert (tmp_path / "a").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


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
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("no/where")
    wrong = {target: "is not a directory" for target in ("file", "no/where", "nowhere")}
    for target, problem in (wrong | {"circle": "cannot be written"}).items():
        with pytest.raises(ExportError, match=problem), new_folder(tmp_path / target, force=True):
            pass
