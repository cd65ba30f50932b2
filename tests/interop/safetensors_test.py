# SPDX-License-Identifier: MIT
"""The safetensors package reads what we write, and we read what it writes: every dtype it accepts."""

import pathlib
import re
import tempfile
import unittest

import numpy as np
import safetensors

import files
import tools

TOOL = "QUAVER_SAFETENSORS_TOOL"


class Safetensors(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file, self.copy = self.folder / "theirs.safetensors", self.folder / "ours.safetensors"
        self.random = np.random.default_rng(3)

    def assert_listed(self, tensors: dict) -> None:
        """The C++ reader sees the names, dtypes, shapes and bytes that Python meant."""
        self.assertEqual(tools.listing(self.file), tools.expected_listing(tensors))

    def assert_copied(self, tensors: dict, metadata: dict | None) -> None:
        """The C++ reader and writer in a row change nothing that Python can see."""
        tools.succeed(TOOL, "copy", self.file, self.copy)
        self.assertEqual(files.read(self.copy), tensors)
        self.assertEqual(files.metadata_of(self.copy) or {}, metadata or {})

    def assert_round_trip(self, tensors: dict, metadata: dict | None = None) -> None:
        files.write(self.file, tensors, metadata)
        self.assertEqual(files.read(self.file), tensors)
        self.assert_listed(tensors)
        self.assert_copied(tensors, metadata)

    def test_no_dtype_that_the_package_writes_is_missing_here(self):
        with self.assertRaises(safetensors.SafetensorError) as refused:
            safetensors.TensorSpec(dtype="none such", shape=[1], data_ptr=1, data_len=1)
        names = re.search(r"Supported dtypes: ([a-z0-9_, ]+)", str(refused.exception)).group(1)
        self.assertEqual(set(names.split(", ")), set(files.WRITABLE))

    def test_every_dtype_that_the_package_writes_goes_there_and_back(self):
        for package_name, (dtype, _) in files.WRITABLE.items():
            with self.subTest(dtype=package_name):
                self.assert_round_trip({"x": files.noise(dtype, (6, 4), self.random)})

    def test_six_bit_dtypes_that_the_package_only_reads_go_there_and_back(self):
        for dtype in files.READ_ONLY:
            with self.subTest(dtype=dtype):
                tensors = {"six": files.noise(dtype, (5, 8), self.random), "one": files.noise("U8", (3,), self.random)}
                self.file.write_bytes(files.by_hand(tensors))
                self.assertEqual(files.read(self.file), tensors)
                self.assert_listed(tensors)
                self.assert_copied(tensors, None)

    def test_all_dtypes_go_together_in_one_file(self):
        tensors = {f"t{i}": files.noise(dtype, (i + 1, 8), self.random) for i, dtype in enumerate(files.PACKAGE_NAME)}
        self.assert_round_trip(tensors)

    def test_a_thousand_tensors_keep_their_names_and_bytes(self):
        dtypes = list(files.PACKAGE_NAME)
        tensors = {
            f"model.layers.{i}.mlp.experts.{i % 8}.down_proj.weight": files.noise(
                dtypes[i % len(dtypes)], (int(self.random.integers(1, 9)), 2), self.random
            )
            for i in range(1000)
        }
        self.assert_round_trip(tensors, {"format": "pt"})

    def test_scalars_empty_tensors_and_many_axes_keep_their_shape(self):
        for dtype in ("F32", "BF16", "F8_E4M3", "I64", "BOOL"):
            with self.subTest(dtype=dtype):
                shapes = [(), (1,), (0,), (0, 7), (7, 0), (2, 0, 3), (1, 1, 1), (2, 3, 1, 2, 1, 2)]
                self.assert_round_trip({str(shape): files.noise(dtype, shape, self.random) for shape in shapes})

    def test_a_file_without_tensors_is_a_file(self):
        self.assert_round_trip({})
        self.assert_round_trip({}, {"only": "metadata"})

    def test_names_in_any_script_keep_their_bytes(self):
        names = ["weights/β.γ", "重み.0", "𝄞 octave", "a b", 'quote " and \\ backslash', "", "\u00e9", "e\u0301"]
        names += ["tab\tnewline\n", "\x01\x7f", "n" * 5000]
        self.assert_round_trip({name: files.noise("F16", (2,), self.random) for name in names})

    def test_metadata_keeps_every_text(self):
        tensors = {"x": files.noise("F32", (4,), self.random)}
        for metadata in (
            {},
            {"format": "pt"},
            {"empty": "", "": "no key", "β": "γ 𝄞", "json": '{"a": [1, 2.5e-300]}', "lines": "1\n2\t3", "long": "x" * 70000},
        ):
            with self.subTest(keys=list(metadata)):
                self.assert_round_trip(tensors, metadata)

    def test_tensors_may_lie_in_any_order(self):
        order = self.random.permutation(40)
        tensors = {f"t{i:02}": files.noise("U8" if i % 3 else "F64", (int(i) % 5, 3), self.random) for i in order}
        self.file.write_bytes(files.by_hand(tensors, {"order": "mixed"}))
        self.assertEqual(files.read(self.file), tensors)
        self.assert_listed(tensors)
        self.assert_copied(tensors, {"order": "mixed"})

    def test_a_header_without_padding_is_read(self):
        tensors = {"x": files.noise("F32", (5,), self.random)}
        for name in ("x", "xx", "xxx", "xxxx", "xxxxxxx"):
            entry = {"dtype": "F32", "shape": [5], "data_offsets": [0, 20]}
            self.file.write_bytes(files.assemble({name: entry}, tensors["x"].data, padding=False))
            self.assertEqual(files.read(self.file), {name: tensors["x"]})
            self.assert_listed({name: tensors["x"]})

    def test_what_we_write_is_padded_to_eight_bytes_and_aligned_for_every_dtype(self):
        tensors = {f"t{i}": files.noise(dtype, (1, 2), self.random) for i, dtype in enumerate(files.PACKAGE_NAME)}
        files.write(self.file, tensors)
        tools.succeed(TOOL, "copy", self.file, self.copy)
        content = self.copy.read_bytes()
        header_end = 8 + int.from_bytes(content[:8], "little")
        self.assertEqual(header_end % 8, 0)
        for name, tensor in tensors.items():
            begin = files.offsets(content)[name][0]
            self.assertEqual((header_end + begin) % max(1, files.BITS[tensor.dtype] // 8), 0, tensor.dtype)

    def test_what_the_package_refuses_we_refuse_with_one_line(self):
        def entry(begin, end, shape=(4,), dtype="U8"):
            return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}

        good = files.assemble({"x": entry(0, 4)}, b"abcd")
        wrong = {
            "empty file": b"",
            "shorter than the length field": good[:7],
            "cut in the header": good[:20],
            "cut in the data": good[:-1],
            "data left over": good + b"e",
            "header longer than the file": b"\xff\x00\x00\x00\x00\x00\x00\x00{}",
            "header of 2^63 bytes": b"\x00\x00\x00\x00\x00\x00\x00\x80{}",
            "header is no JSON": files.assemble(b'{"x": ', b""),
            "header is an array": files.assemble(b"[]", b""),
            "header is not UTF-8": files.assemble(b'{"\xff":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', b"abcd"),
            "unknown dtype": files.assemble({"x": entry(0, 4, dtype="F7_E4M2")}, b"abcd"),
            "dtype in lower case": files.assemble({"x": entry(0, 4, dtype="u8")}, b"abcd"),
            "no dtype": files.assemble({"x": {"shape": [4], "data_offsets": [0, 4]}}, b"abcd"),
            "no shape": files.assemble({"x": {"dtype": "U8", "data_offsets": [0, 4]}}, b"abcd"),
            "no offsets": files.assemble({"x": {"dtype": "U8", "shape": [4]}}, b"abcd"),
            "three offsets": files.assemble({"x": {"dtype": "U8", "shape": [4], "data_offsets": [0, 2, 4]}}, b"abcd"),
            "negative extent": files.assemble({"x": entry(0, 4, (-4,))}, b"abcd"),
            "fractional extent": files.assemble({"x": entry(0, 4, (4.5,))}, b"abcd"),
            "shape and offsets disagree": files.assemble({"x": entry(0, 4, (5,))}, b"abcd"),
            "offsets backwards": files.assemble({"x": entry(4, 0)}, b"abcd"),
            "offsets beyond the data": files.assemble({"x": entry(4, 8)}, b"abcd"),
            "shape overflows": files.assemble({"x": entry(0, 4, (2**32, 2**32))}, b"abcd"),
            "size overflows": files.assemble({"x": entry(0, 0, (2**61,), "F64")}, b""),
            "hole at the start": files.assemble({"x": entry(1, 4, (3,))}, b"abcd"),
            "hole between tensors": files.assemble({"x": entry(0, 1, (1,)), "y": entry(2, 4, (2,))}, b"abcd"),
            "overlap": files.assemble({"x": entry(0, 3, (3,)), "y": entry(2, 4, (2,))}, b"abcd"),
            "half a byte": files.assemble({"x": entry(0, 1, (1,), "F4")}, b"a"),
            "metadata that is not text": files.assemble({"__metadata__": {"n": 1}, "x": entry(0, 4)}, b"abcd"),
        }
        self.file.write_bytes(good)
        files.read(self.file)
        self.assertEqual(list(tools.listing(self.file)), ["x"])
        for what, content in wrong.items():
            with self.subTest(what=what):
                self.file.write_bytes(content)
                with self.assertRaises(safetensors.SafetensorError):
                    files.read(self.file)
                tools.refusal(TOOL, "list", self.file)
                tools.refusal(TOOL, "copy", self.file, self.copy)
                self.assertFalse(self.copy.exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
