# SPDX-License-Identifier: MIT
"""The checkpoint example's output, read by the safetensors package and dequantised by numpy, is what its report says."""

import json
import pathlib
import tempfile
import unittest

import ml_dtypes
import numpy as np

import checkpoints
import files
import tools

EXAMPLE = "QUAVER_CHECKPOINT_EXAMPLE"
EXCERPT = pathlib.Path(__file__).parents[2] / "examples/checkpoint/data/minilm-layer0.safetensors"
NUMPY = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
BLOCKS = {"1x128": (1, 128), "128x128": (128, 128), "row": (1, 1 << 30), "tensor": (1 << 30, 1 << 30)}

# Every pair of a dialect and an FP8 layout that it can store.
FP8 = [
    ("hf-fp8", "tensor"),
    ("modelopt", "tensor"),
    ("tensorrt-llm", "tensor"),
    ("compressed-tensors", "tensor"),
    ("compressed-tensors", "row"),
    ("compressed-tensors", "128x128"),
    ("deepseek-block", "128x128"),
    ("deepseek-block", "1x128"),
]


def scale_name(name: str, dialect: str) -> str:
    leaf = {"deepseek-block": "weight_scale_inv", "tensorrt-llm": "weights_scaling_factor"}.get(dialect, "weight_scale")
    return name.removesuffix("weight") + leaf


def in_blocks(scales: np.ndarray, layout: str, shape: tuple) -> np.ndarray:
    """The scale of every element."""
    rows, columns = BLOCKS[layout]
    grid = scales.reshape(-(-shape[0] // rows), -(-shape[1] // columns))
    return checkpoints.spread(grid, shape, min(rows, shape[0]), min(columns, shape[1]))


def block_amax(values: np.ndarray, layout: str) -> np.ndarray:
    """The largest magnitude of every block, in the place of every element."""
    rows, columns = (min(size, extent) for size, extent in zip(BLOCKS[layout], values.shape))
    down = np.maximum.reduceat(np.abs(values), np.arange(0, values.shape[0], rows), axis=0)
    both = np.maximum.reduceat(down, np.arange(0, values.shape[1], columns), axis=1)
    return checkpoints.spread(both, values.shape, rows, columns)


def sqnr_db(values: np.ndarray, restored: np.ndarray) -> float:
    exact = values.astype(np.float64)
    return 10 * np.log10(np.square(exact).sum() / np.square(exact - restored.astype(np.float64)).sum())


class CheckpointExample(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_example(self, source: pathlib.Path, dialect: str, layout: str):
        """The report's rows by name, the input's tensors and the output's."""
        output, report = self.folder / f"{dialect}-{layout}", self.folder / f"{dialect}-{layout}.json"
        tools.succeed(
            EXAMPLE, source, "--output", output, "--dialect", dialect, "--layout", layout, "--report", report, "--quiet"
        )
        stored = {}
        for shard in output.glob("*.safetensors"):
            stored.update(files.read(shard))
        self.assert_configured(output, dialect, layout)
        content = json.loads(report.read_text(encoding="utf-8"))
        self.assertEqual((content["layout"], content["dialect"]), (layout, dialect))
        rows = {row["name"]: row for row in content["tensors"]}
        self.assertEqual(len(rows), len(content["tensors"]))
        return rows, files.read(source), stored

    def assert_configured(self, output: pathlib.Path, dialect: str, layout: str) -> None:
        """The config says to that dialect's readers what the tensors are."""
        name = "hf_quant_config.json" if dialect == "modelopt" else "config.json"
        config = json.loads((output / name).read_text(encoding="utf-8"))
        if dialect in ("modelopt", "tensorrt-llm"):
            self.assertEqual(config["quantization"]["quant_algo"], "NVFP4" if layout == "nvfp4" else "FP8")
            return
        quantization = config["quantization_config"]
        if dialect == "compressed-tensors":
            self.assertEqual(quantization["quant_method"], "compressed-tensors")
            strategy = {"tensor": "tensor", "row": "channel", "128x128": "block", "nvfp4": "tensor_group"}[layout]
            groups = [group["weights"]["strategy"] for group in quantization["config_groups"].values()]
            self.assertEqual(groups, [strategy])
            return
        self.assertEqual(quantization["quant_method"], "fp8")
        block = list(BLOCKS[layout]) if dialect == "deepseek-block" else None
        self.assertEqual(quantization.get("weight_block_size"), block)

    def assert_row(self, row: dict, values: np.ndarray, restored: np.ndarray) -> None:
        self.assertEqual(tuple(row["shape"]), values.shape)
        self.assertEqual(np.float32(row["amax"]), np.abs(values).max())
        self.assertAlmostEqual(row["sqnr_db"], sqnr_db(values, restored), delta=1e-6)
        underflow = np.count_nonzero((values != 0) & (restored == 0))
        self.assertAlmostEqual(row["underflow_percent"], 100 * underflow / values.size, delta=1e-9)

    def assert_fp8(self, source: pathlib.Path, dialect: str, layout: str) -> int:
        rows, given, stored = self.run_example(source, dialect, layout)
        for name, row in rows.items():
            values = given[name].array(NUMPY[given[name].dtype]).astype(np.float32)
            self.assertEqual((stored[name].dtype, stored[name].shape), ("F8_E4M3", values.shape))
            scale = stored[scale_name(name, dialect)]
            self.assertEqual(scale.dtype, "F32")
            multiplier = in_blocks(scale.array(np.float32), layout, values.shape)
            codes = stored[name].array(checkpoints.E4M3)

            # What was stored is what this code would have stored: amax / 448, and x over that.
            amax = block_amax(values, layout)
            np.testing.assert_array_equal(multiplier[amax > 0], (amax / checkpoints.MAX)[amax > 0])
            expected = checkpoints.quantize(values, np.where(amax > 0, multiplier, np.float32(1)))
            np.testing.assert_array_equal(codes.view(np.uint8), expected.view(np.uint8))

            self.assert_row(row, values, checkpoints.dequantize(codes, multiplier))
            histogram = np.bincount(codes.view(np.uint8).ravel(), minlength=256)
            self.assertEqual(row["code_histogram"], histogram.tolist())
            scales = scale.array(np.float32)
            self.assertEqual(np.float32(row["scale_min"]), scales.min())
            self.assertEqual(np.float32(row["scale_max"]), scales.max())
            self.assertEqual(row["bytes_before"], len(given[name].data))
            self.assertEqual(row["bytes_after"], len(stored[name].data) + len(scale.data))
            self.assertEqual(row["saturated_percent"], 0)
        for name in given.keys() - rows.keys():
            self.assertEqual(stored[name], given[name], name)
        self.assertEqual(stored.keys(), given.keys() | {scale_name(name, dialect) for name in rows})
        return len(rows)

    def test_the_excerpt_in_every_dialect_and_fp8_layout_is_what_the_report_says(self):
        for dialect, layout in FP8:
            with self.subTest(dialect=dialect, layout=layout):
                self.assertEqual(self.assert_fp8(EXCERPT, dialect, layout), 6)

    def test_ragged_matrices_of_every_float_dtype_are_what_the_report_says(self):
        random = np.random.default_rng(13)
        tensors = {"norm.weight": files.noise("F32", (300,), random), "ids": files.noise("I64", (4, 4), random)}
        for i, shape in enumerate([(300, 200), (1, 129), (129, 1), (128, 128), (3, 5)]):
            values = checkpoints.weights(*shape, random) + np.float32(1e-3)
            values[:, : shape[1] // 2] *= np.float32(1e-4)  # many of them underflow or are subnormal
            for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
                tensors[f"{i}.{np.dtype(dtype).name}.weight"] = files.Tensor.of(values.astype(dtype))
        source = self.folder / "ragged.safetensors"
        files.write(source, tensors)
        for dialect, layout in FP8:
            with self.subTest(dialect=dialect, layout=layout):
                self.assertEqual(self.assert_fp8(source, dialect, layout), 15)

    def test_nvfp4_in_both_dialects_is_what_the_report_says(self):
        for dialect in ("compressed-tensors", "modelopt"):
            with self.subTest(dialect=dialect):
                rows, given, stored = self.run_example(EXCERPT, dialect, "nvfp4")
                self.assertEqual(len(rows), 6)
                for name, row in rows.items():
                    values = given[name].array(NUMPY[given[name].dtype]).astype(np.float32)
                    packed = stored[name + "_packed" if dialect == "compressed-tensors" else name]
                    pairs = packed.array(np.uint8)
                    codes = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(values.shape)  # the low nibble first
                    blocks = stored[name + "_scale"].array(checkpoints.E4M3).astype(np.float32)
                    if dialect == "compressed-tensors":
                        blocks = blocks / stored[name + "_global_scale"].array(np.float32).reshape(())
                    else:
                        blocks = blocks * stored[name + "_scale_2"].array(np.float32).reshape(())
                    self.assertEqual(blocks.dtype, np.float32)
                    multiplier = checkpoints.spread(blocks, values.shape, 1, 16)
                    restored = codes.view(ml_dtypes.float4_e2m1fn).astype(np.float32) * multiplier
                    self.assert_row(row, values, restored)


if __name__ == "__main__":
    unittest.main(verbosity=2)
