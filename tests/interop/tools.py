# SPDX-License-Identifier: MIT
"""Calls the two C++ tools that the tests compare Python with. Their paths come from the environment (CMakeLists.txt)."""

import json
import os
import pathlib
import subprocess
import tempfile

import numpy as np


def call(variable: str, *arguments) -> subprocess.CompletedProcess:
    """Runs the tool that the environment variable names; a tool killed by a signal is an error at once."""
    result = subprocess.run([os.environ[variable], *map(str, arguments)], capture_output=True, timeout=120)
    if result.returncode < 0:
        raise RuntimeError(f"{result.args}: ended by signal {-result.returncode}")
    return result


def succeed(variable: str, *arguments) -> str:
    result = call(variable, *arguments)
    if result.returncode != 0:
        raise RuntimeError(f"{result.args}: status {result.returncode}: {result.stderr.decode()}")
    return result.stdout.decode("utf-8")


def refusal(variable: str, *arguments) -> str:
    """The one line with which a tool must refuse its input."""
    result = call(variable, *arguments)
    lines = result.stderr.decode("utf-8").splitlines()
    if result.returncode == 0:
        raise AssertionError(f"{result.args}: accepted")
    if len(lines) != 1 or not lines[0].strip():
        raise AssertionError(f"{result.args}: not one line on stderr: {lines}")
    return lines[0]


def fnv1a(data: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x00000100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def listing(path: pathlib.Path) -> dict:
    """Name to (dtype, shape, hash of the bytes), as the C++ reader sees a file."""
    lines = [json.loads(line) for line in succeed("QUAVER_SAFETENSORS_TOOL", "list", path).splitlines()]
    tensors = {line["name"]: (line["dtype"], tuple(line["shape"]), line["hash"]) for line in lines}
    assert len(tensors) == len(lines), "a name is listed twice"
    return tensors


def expected_listing(tensors: dict) -> dict:
    return {name: (tensor.dtype, tensor.shape, fnv1a(tensor.data)) for name, tensor in tensors.items()}


def quantize(verb: str, format_name: str, scale: np.float32, data: np.ndarray) -> np.ndarray:
    """encode: binary32 to bytes of x * scale. decode: bytes to binary32 of x * scale."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "in"), pathlib.Path(folder, "out")
        data.tofile(source)
        succeed("QUAVER_QUANTIZE_TOOL", verb, format_name, float(scale).hex(), source, target)
        return np.fromfile(target, np.uint8 if verb == "encode" else np.float32)
