# SPDX-License-Identifier: MIT
"""safetensors files as Python sees them: written by the safetensors package, or byte by byte where it refuses to."""

import dataclasses
import json
import math
import pathlib
import struct

import ml_dtypes
import numpy as np
import safetensors

# What the package calls a dtype when it writes, what the file calls it, and the bits of an element.
WRITABLE = {
    "bool": ("BOOL", 8),
    "uint8": ("U8", 8),
    "int8": ("I8", 8),
    "uint16": ("U16", 16),
    "int16": ("I16", 16),
    "uint32": ("U32", 32),
    "int32": ("I32", 32),
    "uint64": ("U64", 64),
    "int64": ("I64", 64),
    "float16": ("F16", 16),
    "bfloat16": ("BF16", 16),
    "float32": ("F32", 32),
    "float64": ("F64", 64),
    "complex64": ("C64", 64),
    "float8_e4m3fn": ("F8_E4M3", 8),
    "float8_e5m2": ("F8_E5M2", 8),
    "float8_e8m0fnu": ("F8_E8M0", 8),
    "float8_e4m3fnuz": ("F8_E4M3FNUZ", 8),
    "float8_e5m2fnuz": ("F8_E5M2FNUZ", 8),
    "float4_e2m1fn_x2": ("F4", 4),
}
READ_ONLY = {"F6_E2M3": 6, "F6_E3M2": 6}  # the package reads these and cannot write them
BITS = {**dict(WRITABLE.values()), **READ_ONLY}
PACKAGE_NAME = {name: package for package, (name, _) in WRITABLE.items()}

# numpy types whose bytes are a dtype's bytes.
OF_NUMPY = {
    np.dtype(np.float32): "F32",
    np.dtype(np.float64): "F64",
    np.dtype(np.float16): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype(ml_dtypes.float8_e4m3fn): "F8_E4M3",
    np.dtype(ml_dtypes.float8_e5m2): "F8_E5M2",
    np.dtype(ml_dtypes.float8_e8m0fnu): "F8_E8M0",
    np.dtype(np.int64): "I64",
    np.dtype(np.int32): "I32",
    np.dtype(np.uint8): "U8",
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: tuple
    data: bytes

    @staticmethod
    def of(values: np.ndarray) -> "Tensor":
        return Tensor(OF_NUMPY[values.dtype], values.shape, values.tobytes())

    def array(self, dtype) -> np.ndarray:
        return np.frombuffer(self.data, dtype).reshape(self.shape)


def size_of(dtype: str, shape) -> int:
    bits = BITS[dtype] * math.prod(shape)
    assert bits % 8 == 0, (dtype, shape)
    return bits // 8


def noise(dtype: str, shape, random: np.random.Generator) -> Tensor:
    """Random bytes: every NaN payload, subnormal and infinity may be among them. BOOL holds 0 and 1 only."""
    data = random.bytes(size_of(dtype, shape))
    return Tensor(dtype, tuple(shape), bytes(byte & 1 for byte in data) if dtype == "BOOL" else data)


def write(path: pathlib.Path, tensors: dict, metadata: dict | None = None) -> None:
    """Through the safetensors package."""
    specs, alive = {}, []
    for name, tensor in tensors.items():
        buffer = np.frombuffer(tensor.data or b"\0", np.uint8).copy()
        alive.append(buffer)  # a TensorSpec holds an address only
        shape = list(tensor.shape)
        if tensor.dtype == "F4":
            shape[-1] //= 2  # the package asks for the shape in bytes, two values each
        specs[name] = safetensors.TensorSpec(
            dtype=PACKAGE_NAME[tensor.dtype], shape=shape, data_ptr=buffer.ctypes.data, data_len=len(tensor.data)
        )
    path.write_bytes(bytes(safetensors.serialize(specs, metadata=metadata)))


def read(path: pathlib.Path) -> dict:
    """Through the safetensors package."""
    views = safetensors.deserialize(path.read_bytes())
    return {name: Tensor(view["dtype"], tuple(view["shape"]), bytes(view["data"])) for name, view in views}


def metadata_of(path: pathlib.Path) -> dict | None:
    with safetensors.safe_open(path, "np") as file:
        return file.metadata()


def assemble(header, body: bytes, padding: bool = True) -> bytes:
    """A file from its parts, right or wrong. `header` is a JSON value or the bytes to stand in its place."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    if padding:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def by_hand(tensors: dict, metadata: dict | None = None) -> bytes:
    """A file whose buffer follows the order of `tensors`; the header lists them in the opposite order."""
    entries, body = {}, b""
    for name, tensor in tensors.items():
        entries[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(tensor.data)],
        }
        body += tensor.data
    header = {} if metadata is None else {"__metadata__": metadata}
    return assemble({**header, **dict(reversed(entries.items()))}, body)


def offsets(content: bytes) -> dict:
    """Name to [begin, end] as a file's header states them."""
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    return {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
