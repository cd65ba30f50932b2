# SPDX-License-Identifier: MIT
"""FP8 checkpoints as the systems of the field lay them out, made and read back with numpy and ml_dtypes alone.

Nothing here calls Quaver. Each maker fills a folder and returns what a reader must make of it: every tensor by name, the
FP8 weights as binary32 after one multiplication by their scale, the others as they are stored.
"""

import json
import math
import pathlib

import ml_dtypes
import numpy as np

from files import Tensor, write

E4M3 = ml_dtypes.float8_e4m3fn
MAX = np.float32(448)


def weights(rows: int, columns: int, random: np.random.Generator) -> np.ndarray:
    """A matrix like a trained one: rows of different spread, a few outliers, one row and one corner of zeros."""
    values = random.standard_normal((rows, columns)) * random.lognormal(-4.0, 1.0, (rows, 1))
    values[random.random((rows, columns)) < 1e-3] *= 30
    values[rows // 2] = 0
    values[: rows // 3, : columns // 3] *= random.random() < 0.5
    return values.astype(np.float32)


def spread(scales: np.ndarray, shape: tuple, block_rows: int, block_columns: int) -> np.ndarray:
    """The scale of every element of a matrix cut into blocks; those at the edges may be ragged."""
    expanded = scales.repeat(block_rows, axis=0).repeat(block_columns, axis=1)
    return expanded[: shape[0], : shape[1]]


def quantize(values: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
    """E4M3 codes for `multiplier`, what a reader will multiply by."""
    quotient = values / multiplier
    assert quotient.dtype == np.float32
    return np.clip(quotient, -MAX, MAX).astype(E4M3)


def dequantize(codes: np.ndarray, multiplier: np.ndarray) -> np.ndarray:
    """One multiplication in binary32, as every one of these systems defines it."""
    product = codes.astype(np.float32) * multiplier.astype(np.float32)
    assert product.dtype == np.float32
    return product


def by_tensor(values: np.ndarray):
    scale = np.abs(values).max() / MAX
    return quantize(values, scale), scale


def by_channel(values: np.ndarray, scale_dtype=np.float32):
    amax = np.maximum(np.abs(values).max(axis=1, keepdims=True), np.float32(1e-12))
    scales = (amax / MAX).astype(scale_dtype)  # quantised with what is stored, not with what it was rounded from
    return quantize(values, scales.astype(np.float32)), scales


def by_block(values: np.ndarray, block: tuple, power_of_two: bool = False):
    rows, columns = (math.ceil(extent / size) for extent, size in zip(values.shape, block))
    scales = np.empty((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            part = values[i * block[0] : (i + 1) * block[0], j * block[1] : (j + 1) * block[1]]
            scales[i, j] = np.maximum(np.abs(part).max(), np.float32(1e-4)) / MAX
    if power_of_two:
        scales = np.exp2(np.ceil(np.log2(scales))).astype(np.float32)
    return quantize(values, spread(scales, values.shape, *block)), scales


def save(folder: pathlib.Path, tensors: dict, config: dict, name: str = "config.json", shards: int = 1) -> None:
    """One file, or several with an index; a weight and its scale then lie in different shards."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(config, indent=2))
    if shards == 1:
        write(folder / "model.safetensors", tensors, {"format": "pt"})
        return
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    where = {tensor: names[i % shards] for i, tensor in enumerate(tensors)}
    for shard in names:
        write(folder / shard, {t: tensors[t] for t in tensors if where[t] == shard}, {"format": "pt"})
    total = sum(len(tensor.data) for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def unquantized(random: np.random.Generator) -> dict:
    """What stands beside the FP8 weights and must come through as it is."""
    return {
        "model.embed_tokens.weight": random.standard_normal((32, 24)).astype(ml_dtypes.bfloat16),
        "model.norm.weight": random.standard_normal(24).astype(ml_dtypes.bfloat16),
        "lm_head.weight": random.standard_normal((32, 24)).astype(np.float32),
        "model.layers.0.self_attn.rotary_emb.inv_freq": random.standard_normal(4).astype(np.float32),
    }


def finish(folder, stored: dict, expected: dict, config: dict, **how) -> dict:
    save(folder, {name: Tensor.of(np.asarray(value)) for name, value in stored.items()}, config, **how)
    return expected


def deepseek_block(folder, random, shards: int = 1, power_of_two: bool = False) -> dict:
    """weight_scale_inv, binary32 [ceil(N/128), ceil(K/128)], is what to multiply by, whatever its name says."""
    stored = unquantized(random)
    expected = dict(stored)
    shapes = [(256, 384), (300, 200), (128, 128), (1, 129), (129, 1), (127, 257)]
    for i, shape in enumerate(shapes):
        name = f"model.layers.{i}.mlp.down_proj.weight"
        codes, scales = by_block(weights(*shape, random), (128, 128), power_of_two)
        stored[name], stored[name + "_scale_inv"] = codes, scales
        expected[name] = dequantize(codes, spread(scales, shape, 128, 128))
    quantization = {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        **({"scale_fmt": "ue8m0"} if power_of_two else {}),
    }
    config = {"architectures": ["DeepseekV3ForCausalLM"], "torch_dtype": "bfloat16", "quantization_config": quantization}
    return finish(folder, stored, expected, config, shards=shards)


def compressed_tensors(folder, random, strategy: str, scale_dtype=np.float32, shards: int = 1) -> dict:
    """strategy: tensor [1], channel [N, 1] or block [ceil(N/128), ceil(K/128)] weight_scale."""
    stored = unquantized(random)
    expected = dict(stored)
    for i, shape in enumerate([(96, 160), (33, 7), (1, 64), (200, 130)]):
        prefix = f"model.layers.{i}.self_attn.q_proj."
        values = weights(*shape, random)
        if strategy == "channel":
            codes, scales = by_channel(values, scale_dtype)
            multiplier = scales
        elif strategy == "block":
            codes, scales = by_block(values, (128, 128))
            multiplier = spread(scales, shape, 128, 128)
        else:
            codes, scale = by_tensor(values + np.float32(1e-3))
            scales = multiplier = np.array([scale], scale_dtype)
        stored[prefix + "weight"], stored[prefix + "weight_scale"] = codes, scales
        expected[prefix + "weight"] = dequantize(codes, multiplier)
    arguments = {
        "actorder": None,
        "block_structure": [128, 128] if strategy == "block" else None,
        "dynamic": False,
        "group_size": None,
        "num_bits": 8,
        "observer": "minmax",
        "observer_kwargs": {},
        "strategy": strategy,
        "symmetric": True,
        "type": "float",
    }
    activations = {**arguments, "dynamic": True, "strategy": "token", "observer": None, "block_structure": None}
    quantization = {
        "config_groups": {
            "group_0": {
                "input_activations": activations,
                "output_activations": None,
                "targets": ["Linear"],
                "weights": arguments,
            }
        },
        "format": "float-quantized",
        "global_compression_ratio": None,
        "ignore": ["lm_head"],
        "kv_cache_scheme": None,
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
    }
    config = {"architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "quantization_config": quantization}
    return finish(folder, stored, expected, config, shards=shards)


def per_tensor_names(random, scale_shape: tuple, kv_names: tuple) -> tuple:
    """weight, weight_scale and input_scale, one of each a matrix, and the scales of the KV cache."""
    stored = unquantized(random)
    expected = dict(stored)
    for i, projection in enumerate(["q_proj", "k_proj", "v_proj", "o_proj"]):
        prefix = f"model.layers.0.self_attn.{projection}."
        codes, scale = by_tensor(weights(40 + i, 24, random) + np.float32(1e-3))
        stored[prefix + "weight"] = codes
        stored[prefix + "weight_scale"] = np.full(scale_shape, scale, np.float32)
        stored[prefix + "input_scale"] = np.full(scale_shape, 0.0123 * (i + 1), np.float32)
        expected[prefix + "weight"] = dequantize(codes, scale)
    for name in kv_names:
        stored[name] = np.full(scale_shape, 0.25, np.float32)
    return stored, expected


def vllm_per_tensor(folder, random, scale_shape: tuple = (1,), shards: int = 1) -> dict:
    kv = ("model.layers.0.self_attn.k_scale", "model.layers.0.self_attn.v_scale")
    stored, expected = per_tensor_names(random, scale_shape, kv)
    quantization = {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]}
    config = {"architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "quantization_config": quantization}
    return finish(folder, stored, expected, config, shards=shards)


def modelopt(folder, random) -> dict:
    kv = ("model.layers.0.self_attn.k_proj.k_scale", "model.layers.0.self_attn.v_proj.v_scale")
    stored, expected = per_tensor_names(random, (), kv)
    quantization = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    config = {"producer": {"name": "modelopt", "version": "0.19.0"}, "quantization": quantization}
    return finish(folder, stored, expected, config, name="hf_quant_config.json")


def tensorrt_llm(folder, random) -> dict:
    """rank0.safetensors; the scale's name replaces `weight` by `weights_scaling_factor`."""
    stored = unquantized(random)
    expected = dict(stored)
    for i, part in enumerate(["attention.qkv", "attention.dense", "mlp.fc", "mlp.proj"]):
        prefix = f"transformer.layers.0.{part}."
        codes, scale = by_tensor(weights(24, 40 + i, random) + np.float32(1e-3))
        stored[prefix + "weight"] = codes
        stored[prefix + "weights_scaling_factor"] = np.array([scale], np.float32)
        stored[prefix + "activation_scaling_factor"] = np.array([0.5], np.float32)
        expected[prefix + "weight"] = dequantize(codes, scale)
    stored["transformer.layers.0.attention.kv_cache_scaling_factor"] = np.array([0.25], np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": "LlamaForCausalLM",
        "dtype": "bfloat16",
        "mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1},
        "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    write(folder / "rank0.safetensors", {name: Tensor.of(np.asarray(value)) for name, value in stored.items()})
    return expected
