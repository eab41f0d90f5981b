"""Arrays, archives and images, fitted to what a model asks for."""

from __future__ import annotations

import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphcnn.errors import MissingExtra, RuntimeFailure
from graphcnn.runtime.inputs import fit, fit_inputs, read_inputs
from graphcnn.runtime.signature import ANY, TensorSpec


def spec_of(
    *shape: int | str, layout: str = "", dtype: str = "float32", name: str = "image"
) -> TensorSpec:
    return TensorSpec(name, shape, np.dtype(dtype), layout)


GREY = spec_of("N", 1, 28, 28, layout="NCHW")
COLOUR = spec_of("N", 3, 6, 4, layout="NCHW")
COLOUR_LAST = spec_of("N", 6, 4, 3, layout="NHWC")


@pytest.fixture
def pixels() -> np.ndarray:
    """6x4 pixels of 3 channels, all different."""
    return np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)


def refusal(values: object, spec: TensorSpec) -> str:
    with pytest.raises(RuntimeFailure) as caught:
        fit(values, spec, "x.npy")
    return str(caught.value)


def reading_refused(path: Path, *specs: TensorSpec) -> str:
    with pytest.raises(RuntimeFailure) as caught:
        read_inputs(path, specs)
    assert "\n" not in caught.value.message
    return str(caught.value)


class TestFit:
    @pytest.mark.parametrize(
        ("given", "spec", "expected"),
        [
            ((5, 1, 28, 28), GREY, (5, 1, 28, 28)),
            ((1, 28, 28), GREY, (1, 1, 28, 28)),
            ((28, 28), GREY, (1, 1, 28, 28)),
            ((5, 28, 28), GREY, (5, 1, 28, 28)),
            ((3, 6, 4), COLOUR, (1, 3, 6, 4)),
            ((6, 4, 3), COLOUR_LAST, (1, 6, 4, 3)),
            ((5, 9), spec_of("N", 9, 1, layout="NLC"), (5, 9, 1)),
            ((7, 7, 7), spec_of("N", 1, 7, 7, 7, layout="NCDHW"), (1, 1, 7, 7, 7)),
            ((4,), spec_of("N", 4), (1, 4)),
            ((5, 28, 28), spec_of("N", "H", "W", 1, layout="NHWC"), (5, 28, 28, 1)),
            ((28, 28, 1), spec_of("N", "H", "W", 1, layout="NHWC"), (1, 28, 28, 1)),
            ((1, 28, 28), spec_of("N", 1, "H", "W", layout="NCHW"), (1, 1, 28, 28)),
            ((3,), spec_of("N", "K"), (1, 3)),
            ((), spec_of("N", 1), (1, 1)),
        ],
    )
    def test_an_axis_left_out_is_added(
        self, given: tuple[int, ...], spec: TensorSpec, expected: tuple[int, ...]
    ) -> None:
        values = np.random.default_rng(0).random(given, np.float32)
        fitted = fit(values, spec, "x")
        assert fitted.shape == expected
        np.testing.assert_array_equal(fitted.ravel(), values.ravel())

    @pytest.mark.parametrize("dtype", ["uint8", "int64", ">i2", "float16", "float64", "bool"])
    def test_numbers_are_converted(self, dtype: str) -> None:
        fitted = fit(np.ones((4,), dtype), spec_of("N", 4), "x")
        assert fitted.dtype == np.float32
        assert fitted.tolist() == [[1, 1, 1, 1]]

    def test_numbers_that_are_not_finite_pass(self) -> None:
        fitted = fit([np.nan, np.inf, -np.inf], spec_of("N", 3), "x")
        assert np.array_equal(fitted, [[np.nan, np.inf, -np.inf]], equal_nan=True)

    @pytest.mark.parametrize(
        ("values", "dtype"),
        [
            ([1e300], "float32"),
            ([70000], "float16"),
            ([256], "uint8"),
            ([-1], "uint8"),
            ([0.5], "int32"),
            ([np.nan], "int64"),
        ],
    )
    def test_numbers_that_do_not_fit_the_type(self, values: list[float], dtype: str) -> None:
        assert f"cannot be held by {dtype}[N, 1]" in refusal(values, spec_of("N", 1, dtype=dtype))

    @pytest.mark.parametrize("values", [["a"], [1j], [None], [b"a"]])
    def test_what_is_not_a_number(self, values: list[object]) -> None:
        assert "x.npy: expected numbers for float32[N, 1], found" in refusal(
            values, spec_of("N", 1)
        )

    def test_empty(self) -> None:
        assert "[0, 1, 28, 28] is empty" in refusal(np.zeros((0, 1, 28, 28)), GREY)

    def test_a_wrong_shape_is_told_in_both_layouts(self) -> None:
        assert refusal(np.zeros((28, 28, 3)), GREY) == (
            "x.npy: expected float32[N, 1, 28, 28] (channels first), found [28, 28, 3]; "
            "in channels last that is [N, 28, 28, 1]"
        )

    @pytest.mark.parametrize(
        ("given", "spec", "call"),
        [
            ((6, 4, 3), COLOUR, "np.transpose(x, (2, 0, 1)) puts it in channels first"),
            ((9, 6, 4, 3), COLOUR, "np.transpose(x, (0, 3, 1, 2)) puts it in channels first"),
            ((3, 6, 4), COLOUR_LAST, "np.transpose(x, (1, 2, 0)) puts it in channels last"),
            ((9, 3, 6, 4), COLOUR_LAST, "np.transpose(x, (0, 2, 3, 1)) puts it in channels last"),
            ((9, 28, 28, 1), GREY, "np.transpose(x, (0, 3, 1, 2)) puts it in channels first"),
        ],
    )
    def test_the_other_layout_is_not_transposed_silently(
        self, given: tuple[int, ...], spec: TensorSpec, call: str
    ) -> None:
        values = np.zeros(given)
        assert call in refusal(values, spec)
        axes = eval(call[call.index("(", 14) : call.index(")") + 1])
        fit(np.transpose(values, axes), spec, "x")

    def test_a_wrong_shape_without_a_layout(self) -> None:
        assert refusal(np.zeros((2, 3)), spec_of("N", 4)) == (
            "x.npy: expected float32[N, 4], found [2, 3]"
        )

    @pytest.mark.parametrize("given", [(3, 1, 28, 28), (1, 28, 28), (28, 28), (3, 28, 28)])
    def test_another_batch_than_the_fixed_one(self, given: tuple[int, ...]) -> None:
        fixed = spec_of(4, 1, 28, 28, layout="NCHW")
        found = 3 if given[0] == 3 else 1
        message = refusal(np.zeros(given), fixed)
        assert f"found {list(given)}: a batch of {found}, not 4" in message
        assert "fixed when the file was compiled" in message


class TestFitInputs:
    PAIR = (spec_of("N", 2, name="a"), spec_of("N", 2, name="b"))

    def test_by_name(self) -> None:
        fitted = fit_inputs({"b": [1, 2], "a": [3, 4]}, self.PAIR)
        assert {name: array.tolist() for name, array in fitted.items()} == {
            "a": [[3, 4]],
            "b": [[1, 2]],
        }

    @pytest.mark.parametrize("inputs", [[5, 6], {"image": [5, 6]}])
    def test_one_array_for_one_input(self, inputs: object) -> None:
        assert fit_inputs(inputs, [spec_of("N", 2)])["image"].tolist() == [[5, 6]]

    def test_another_name_for_one_input(self) -> None:
        with pytest.raises(RuntimeFailure) as caught:
            fit_inputs({"wrong": [5, 6]}, [spec_of("N", 2)])
        message = "inputs: no array for 'image', and 'wrong' not among the model's inputs"
        assert caught.value.message == message
        assert caught.value.hint == "the model's inputs are 'image'"

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ({"a": [1, 2]}, "inputs: no array for 'b'"),
            ({"a": [1, 2], "b": [1, 2], "z": [0]}, "inputs: 'z' not among the model's inputs"),
            ({"a": [1, 2], "z": [0]}, "no array for 'b', and 'z' not among the model's inputs"),
            ([1, 2], "inputs: one array for a model of 2 inputs: 'a', 'b'"),
            ({"a": [1, 2], "b": [1, 2, 3]}, "inputs['b']: expected float32[N, 2], found [3]"),
        ],
    )
    def test_names_that_do_not_match(self, inputs: object, message: str) -> None:
        with pytest.raises(RuntimeFailure) as caught:
            fit_inputs(inputs, self.PAIR)
        assert message in str(caught.value)

    def test_numbers_of_samples_differ(self) -> None:
        with pytest.raises(RuntimeFailure, match="'a' has 1 samples, and 'b' has 3"):
            fit_inputs({"a": np.ones((1, 2)), "b": np.ones((3, 2))}, self.PAIR)

    def test_unnamed_batches_may_differ(self) -> None:
        pair = (spec_of(ANY, 2, name="a"), spec_of(ANY, 2, name="b"))
        fitted = fit_inputs({"a": np.ones((1, 2)), "b": np.ones((3, 2))}, pair)
        assert [len(array) for array in fitted.values()] == [1, 3]


class TestFiles:
    def test_npy(self, tmp_path: Path) -> None:
        values = np.arange(784).reshape(28, 28)
        np.save(tmp_path / "x.npy", values)
        fitted = read_inputs(tmp_path / "x.npy", [GREY])["image"]
        np.testing.assert_array_equal(fitted[0, 0], values)

    def test_a_suffix_in_capitals(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((28, 28)))
        (tmp_path / "x.npy").rename(tmp_path / "X.NPY")
        assert read_inputs(tmp_path / "X.NPY", [GREY])["image"].shape == (1, 1, 28, 28)

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_npz(self, tmp_path: Path, save: object) -> None:
        save(tmp_path / "x.npz", **{"in/a": [1, 2], "b": [3, 4]})  # type: ignore[operator]
        pair = [spec_of("N", 2, name="in/a"), spec_of("N", 2, name="b")]
        fitted = read_inputs(tmp_path / "x.npz", pair)
        assert fitted["in/a"].tolist() == [[1, 2]]
        assert fitted["b"].tolist() == [[3, 4]]

    def test_an_npz_of_one_array(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", np.zeros((28, 28)))
        assert read_inputs(tmp_path / "x.npz", [GREY])["image"].shape == (1, 1, 28, 28)

    def test_names_in_an_npz_that_do_not_match(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", a=[1], c=[2])
        pair = [spec_of("N", 1, name="a"), spec_of("N", 1, name="b")]
        message = reading_refused(tmp_path / "x.npz", *pair)
        assert "x.npz: no array for 'b', and 'c' not among the model's inputs" in message
        assert "the model's inputs are 'a', 'b'" in message

    def test_missing(self, tmp_path: Path) -> None:
        assert "x.npy: no such file" in reading_refused(tmp_path / "x.npy", GREY)

    def test_a_directory(self, tmp_path: Path) -> None:
        assert "is a directory" in reading_refused(tmp_path, GREY)

    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".png"])
    def test_empty(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"x{suffix}"
        path.touch()
        assert f"{path} is empty" in reading_refused(path, GREY)

    def test_an_unknown_kind(self, tmp_path: Path) -> None:
        (tmp_path / "x.txt").write_text("1 2 3")
        message = reading_refused(tmp_path / "x.txt", GREY)
        assert "x.txt: not a kind of file" in message
        assert ".npy, .npz, .png" in message

    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".jpg", ".gif", ".bmp"])
    @pytest.mark.parametrize("content", [b"\0", b"\x93NUMPY", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n"])
    def test_damaged(self, tmp_path: Path, suffix: str, content: bytes) -> None:
        path = tmp_path / f"x{suffix}"
        path.write_bytes(content * 40)
        assert f"{path}: not a readable" in reading_refused(path, GREY)

    @pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".jpg", ".gif", ".bmp"])
    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
    def test_cut_short(self, tmp_path: Path, suffix: str, kept: float) -> None:
        path = tmp_path / f"x{suffix}"
        pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
        if suffix == ".npy":
            np.save(path, pixels)
        elif suffix == ".npz":
            np.savez(path, pixels)
        else:
            Image.fromarray(pixels).save(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * kept)])
        assert f"{path}: not a readable" in reading_refused(path, GREY)

    def test_python_objects_are_refused(self, tmp_path: Path) -> None:
        objects = np.array([{"a": 1}], object)
        np.save(tmp_path / "x.npy", objects)
        np.savez(tmp_path / "x.npz", image=objects)
        for name in ("x.npy", "x.npz"):
            message = reading_refused(tmp_path / name, spec_of("N", 1))
            assert "not a readable .np" in message
            assert "arrays of Python objects are refused" in message

    def test_a_header_that_claims_more_than_there_is(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npy"
        with path.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 1, 28, 28)}
            np.lib.format.write_array_header_1_0(file, header)
        assert "not a readable .npy file" in reading_refused(path, GREY)

    def test_an_archive_that_unpacks_to_too_much(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("graphcnn.runtime.inputs._LARGEST_ARCHIVE", 1000)
        np.savez_compressed(tmp_path / "x.npz", np.zeros((28, 28)))
        assert "unpacks to 6,400 bytes, more than the 1,000" in reading_refused(
            tmp_path / "x.npz", GREY
        )

    def test_a_member_that_is_no_array(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("image", "some text")
        assert "not a readable .npz file" in reading_refused(tmp_path / "x.npz", GREY)


class TestImages:
    @pytest.mark.parametrize("suffix", [".png", ".bmp"])
    def test_pixels_are_kept_as_they_are(
        self, tmp_path: Path, pixels: np.ndarray, suffix: str
    ) -> None:
        path = tmp_path / f"x{suffix}"
        Image.fromarray(pixels).save(path)
        first = read_inputs(path, [COLOUR])["image"]
        last = read_inputs(path, [COLOUR_LAST])["image"]
        assert first.dtype == last.dtype == np.float32
        assert first.flags.c_contiguous
        np.testing.assert_array_equal(last[0], pixels)
        np.testing.assert_array_equal(first[0], pixels.transpose(2, 0, 1))

    @pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".gif"])
    def test_other_kinds(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"x{suffix}"
        Image.new("RGB", (4, 6), (200, 200, 200)).save(path)
        found = read_inputs(path, [COLOUR])["image"]
        assert found.shape == (1, 3, 6, 4)
        np.testing.assert_allclose(found, 200, atol=2)

    @pytest.mark.parametrize(
        ("mode", "colour"),
        [("1", 1), ("L", 255), ("P", 0), ("RGB", (255,) * 3), ("RGBA", (255,) * 4)],
    )
    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_channels_are_the_model_s(
        self, tmp_path: Path, mode: str, colour: object, channels: int
    ) -> None:
        image = Image.new(mode, (4, 6), colour)  # type: ignore[arg-type]
        if mode == "P":
            image.putpalette([255, 255, 255])
        image.save(tmp_path / "x.png")
        spec = spec_of("N", channels, 6, 4, layout="NCHW")
        found = read_inputs(tmp_path / "x.png", [spec])["image"]
        np.testing.assert_array_equal(found, np.full((1, channels, 6, 4), 255))

    def test_a_transparent_palette(self, tmp_path: Path) -> None:
        image = Image.new("P", (4, 6))
        image.info["transparency"] = b"\x00\x80"
        image.save(tmp_path / "x.png")
        assert read_inputs(tmp_path / "x.png", [COLOUR])["image"].shape == (1, 3, 6, 4)

    def test_grey_is_luma(self, tmp_path: Path) -> None:
        Image.new("RGB", (28, 28), (255, 0, 0)).save(tmp_path / "x.png")
        found = read_inputs(tmp_path / "x.png", [GREY])["image"]
        np.testing.assert_array_equal(found, 76)

    def test_resized_to_the_model_s_size(self, tmp_path: Path) -> None:
        Image.fromarray(np.repeat([[0, 255]], 2, axis=0).astype(np.uint8)).save(tmp_path / "x.png")
        found = read_inputs(tmp_path / "x.png", [spec_of("N", 1, 3, 4, layout="NCHW")])["image"]
        assert found.shape == (1, 1, 3, 4)
        np.testing.assert_allclose(found[0, 0, 0], [0, 63.75, 191.25, 255], atol=1)

    def test_sizes_left_open_are_the_image_s(self, tmp_path: Path) -> None:
        Image.new("L", (5, 7)).save(tmp_path / "x.png")
        sizes: list[tuple[int | str, int | str, tuple[int, int]]]
        sizes = [("H", "W", (7, 5)), (3, "W", (3, 5)), ("H", 9, (7, 9))]
        for height, width, expected in sizes:
            spec = spec_of("N", height, width, 1, layout="NHWC")
            found = read_inputs(tmp_path / "x.png", [spec])["image"]
            assert found.shape == (1, *expected, 1)

    def test_a_model_of_bytes(self, tmp_path: Path, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(tmp_path / "x.png")
        spec = spec_of("N", 6, 4, 3, layout="NHWC", dtype="uint8")
        found = read_inputs(tmp_path / "x.png", [spec])["image"]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found[0], pixels)

    def test_sixteen_bits_are_refused(self, tmp_path: Path) -> None:
        Image.fromarray(np.full((28, 28), 300, np.uint16)).save(tmp_path / "x.png")
        assert "more than 8 bits a channel" in reading_refused(tmp_path / "x.png", GREY)

    @pytest.mark.parametrize("limit", [100, 600])
    def test_a_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
        assert f"more than {limit} pixels" in reading_refused(tmp_path / "x.png", GREY)

    def test_warnings_of_others_stay_as_they_were(self, tmp_path: Path) -> None:
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
        before = list(warnings.filters)
        read_inputs(tmp_path / "x.png", [GREY])
        assert list(warnings.filters) == before

    def test_an_input_that_is_no_image(self, tmp_path: Path) -> None:
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
        path = tmp_path / "x.png"
        assert "input 'image' is float32[N, 10]" in reading_refused(path, spec_of("N", 10))
        five = spec_of("N", 5, 6, 4, layout="NCHW")
        assert "input 'image' has 5 channels" in reading_refused(path, five)

    def test_a_model_of_two_inputs(self, tmp_path: Path) -> None:
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
        pair = [GREY, spec_of("N", 2, name="b")]
        message = reading_refused(tmp_path / "x.png", *pair)
        assert "one array for a model of 2 inputs: 'b', 'image'" in message

    def test_a_fixed_batch(self, tmp_path: Path) -> None:
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
        fixed = spec_of(4, 1, 28, 28, layout="NCHW")
        assert "a batch of 1, not 4" in reading_refused(tmp_path / "x.png", fixed)

    def test_pillow_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Image.new("L", (28, 28)).save(tmp_path / "x.png")
        monkeypatch.setitem(sys.modules, "PIL", None)
        with pytest.raises(MissingExtra, match=r"pip install 'graphcnn\[cpu\]'"):
            read_inputs(tmp_path / "x.png", [GREY])
