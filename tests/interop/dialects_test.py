# SPDX-License-Identifier: MIT
"""FP8 checkpoints made by independent Python code load with equal values, bit for bit; without a scale they do not."""

import json
import pathlib
import tempfile
import unittest

import ml_dtypes
import numpy as np

import checkpoints
import files
import tools

TOOL = "QUAVER_SAFETENSORS_TOOL"

# What the scale of "<prefix>weight" is called.
SCALE_NAMES = {
    "deepseek": "weight_scale_inv",
    "compressed-tensors": "weight_scale",
    "vllm": "weight_scale",
    "modelopt": "weight_scale",
    "tensorrt-llm": "weights_scaling_factor",
}


class Dialects(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.output = pathlib.Path(folder.name, "model"), pathlib.Path(folder.name, "out.safetensors")
        self.random = np.random.default_rng(5)

    def assert_dequantized(self, expected: dict) -> None:
        tools.succeed(TOOL, "dequantize", self.folder, self.output)
        ours = files.read(self.output)
        for name, values in expected.items():
            self.assertIn(name, ours)
            self.assertEqual(ours[name].shape, values.shape, name)
            self.assertEqual(ours[name].dtype, files.OF_NUMPY[values.dtype], name)
            self.assertEqual(ours[name].data, values.tobytes(), name)

    def assert_weight_refused_without_its_scale(self, dialect: str) -> None:
        """Takes one scale after the other away; the file must be refused with one line that names the weight."""
        shards = sorted(self.folder.glob("*.safetensors"))
        scale_name, tried = SCALE_NAMES[dialect], 0
        for shard in shards:
            content = shard.read_bytes()
            tensors = files.read(shard)
            for name in [name for name in tensors if name.endswith("." + scale_name)][:2]:
                files.write(shard, {other: tensors[other] for other in tensors if other != name}, {"format": "pt"})
                line = tools.refusal(TOOL, "dequantize", self.folder, self.output)
                self.assertIn(name.removesuffix(scale_name) + "weight", line)
                self.assertFalse(self.output.exists())
                shard.write_bytes(content)
                tried += 1
        self.assertGreater(tried, 0)

    def assert_loads_and_needs_its_scales(self, dialect: str, expected: dict) -> None:
        self.assert_weight_refused_without_its_scale(dialect)
        self.assert_dequantized(expected)

    def test_deepseek_blocks_with_ragged_edges(self):
        self.assert_loads_and_needs_its_scales("deepseek", checkpoints.deepseek_block(self.folder, self.random))

    def test_deepseek_blocks_with_power_of_two_scales(self):
        expected = checkpoints.deepseek_block(self.folder, self.random, power_of_two=True)
        self.assert_loads_and_needs_its_scales("deepseek", expected)

    def test_compressed_tensors_by_channel(self):
        expected = checkpoints.compressed_tensors(self.folder, self.random, "channel")
        self.assert_loads_and_needs_its_scales("compressed-tensors", expected)

    def test_compressed_tensors_by_channel_with_bfloat16_scales(self):
        expected = checkpoints.compressed_tensors(self.folder, self.random, "channel", ml_dtypes.bfloat16)
        self.assert_loads_and_needs_its_scales("compressed-tensors", expected)

    def test_compressed_tensors_by_tensor(self):
        expected = checkpoints.compressed_tensors(self.folder, self.random, "tensor")
        self.assert_loads_and_needs_its_scales("compressed-tensors", expected)

    def test_compressed_tensors_by_block(self):
        expected = checkpoints.compressed_tensors(self.folder, self.random, "block")
        self.assert_loads_and_needs_its_scales("compressed-tensors", expected)

    def test_vllm_by_tensor_with_scales_of_shape_1(self):
        expected = checkpoints.vllm_per_tensor(self.folder, self.random, (1,))
        self.assert_loads_and_needs_its_scales("vllm", expected)

    def test_vllm_by_tensor_with_scalar_scales(self):
        expected = checkpoints.vllm_per_tensor(self.folder, self.random, ())
        self.assert_loads_and_needs_its_scales("vllm", expected)

    def test_modelopt_by_tensor(self):
        self.assert_loads_and_needs_its_scales("modelopt", checkpoints.modelopt(self.folder, self.random))

    def test_tensorrt_llm_by_tensor(self):
        self.assert_loads_and_needs_its_scales("tensorrt-llm", checkpoints.tensorrt_llm(self.folder, self.random))

    def test_a_weight_and_its_scale_may_lie_in_different_shards(self):
        for shards in (2, 3):
            with self.subTest(shards=shards):
                self.assert_dequantized(checkpoints.deepseek_block(self.folder, self.random, shards))
                where = json.loads((self.folder / "model.safetensors.index.json").read_text())["weight_map"]
                name = "model.layers.0.mlp.down_proj.weight"
                self.assertNotEqual(where[name], where[name + "_scale_inv"])

    def test_every_code_is_dequantized_and_nan_stays_nan(self):
        codes = np.arange(256, dtype=np.uint8).reshape(16, 16)
        values = codes.view(checkpoints.E4M3)
        for scale in map(np.float32, (1, 1 / 3, 2.0**-100, 1.17549435e-38, 7.5e35)):
            with self.subTest(scale=float(scale)):
                stored = {"l.weight": values, "l.weight_scale": np.array([scale], np.float32)}
                config = {"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}}
                checkpoints.finish(self.folder, stored, {}, config)
                tools.succeed(TOOL, "dequantize", self.folder, self.output)
                ours = files.read(self.output)["l.weight"].array(np.uint32)
                theirs = checkpoints.dequantize(values, stored["l.weight_scale"])
                number = ~np.isnan(theirs)
                self.assertEqual(np.count_nonzero(number), 254)
                np.testing.assert_array_equal(ours[number], theirs.view(np.uint32)[number])
                self.assertTrue(np.isnan(ours.view(np.float32)[~number]).all())

    def test_scales_of_the_wrong_shape_are_refused_by_name(self):
        values = checkpoints.weights(256, 130, self.random)
        codes, scales = checkpoints.by_block(values, (128, 128))
        self.assertEqual(scales.shape, (2, 2))
        quantization = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]}
        for wrong in (scales[:1], scales[:, :1], np.pad(scales, 1), scales.ravel()):
            with self.subTest(shape=wrong.shape):
                stored = {"l.weight": codes, "l.weight_scale_inv": np.ascontiguousarray(wrong)}
                checkpoints.finish(self.folder, stored, {}, {"quantization_config": quantization})
                self.assertIn("l.weight", tools.refusal(TOOL, "dequantize", self.folder, self.output))

    def test_an_fp8_tensor_in_a_folder_without_any_scale_or_configuration_is_refused_by_name(self):
        self.folder.mkdir()
        codes = checkpoints.weights(4, 4, self.random).astype(checkpoints.E4M3)
        files.write(self.folder / "model.safetensors", {"lonely.weight": files.Tensor.of(codes)})
        self.assertIn("lonely.weight", tools.refusal(TOOL, "dequantize", self.folder, self.output))


if __name__ == "__main__":
    unittest.main(verbosity=2)
