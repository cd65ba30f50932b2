# SPDX-License-Identifier: MIT
"""Our bytes against ml_dtypes' casts and gfloat's decoding: quaver::cpu::encode_n and decode_n, seen from Python.

The bar is E4M3 with a scale for a whole tensor: for every finite x with |x * s| <= 448 the byte is ml_dtypes' cast of
the binary32 product. Beyond 448 the two differ by intent (we saturate, ml_dtypes makes NaN); that is tested in C++.
"""

import unittest

import gfloat
import ml_dtypes
import numpy as np
from gfloat.formats import format_info_p3109

import tools

ML_DTYPES = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "e4m3ieee": ml_dtypes.float8_e4m3,
    "e3m4": ml_dtypes.float8_e3m4,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
}
P3109 = {"binary8p3": format_info_p3109(8, 3), "binary8p4": format_info_p3109(8, 4)}
WIDTH = {"e2m3": 6, "e3m2": 6, "e2m1": 4}
ONE = np.float32(1)


def codes(format_name: str) -> np.ndarray:
    return np.arange(1 << WIDTH.get(format_name, 8), dtype=np.uint8)


def decoded(format_name: str) -> np.ndarray:
    """The value of every code, by somebody else's decoder."""
    if format_name in P3109:
        values = [gfloat.decode_float(P3109[format_name], int(code)).fval for code in codes(format_name)]
        return np.array(values, np.float32)
    return codes(format_name).view(ML_DTYPES[format_name]).astype(np.float32)


def cast(format_name: str, products: np.ndarray) -> np.ndarray:
    """The byte of every product, by somebody else's encoder, to nearest even."""
    if format_name in P3109:
        info = P3109[format_name]
        rounded = gfloat.round_ndarray(info, products.astype(np.float64), gfloat.RoundMode.TiesToEven)
        return gfloat.encode_ndarray(info, rounded).astype(np.uint8)
    return products.astype(ML_DTYPES[format_name]).view(np.uint8)


def neighbourhood(values: np.ndarray, reach: int) -> np.ndarray:
    """Each value and the binary32 values up to `reach` steps to either side of it."""
    bits = np.abs(values).astype(np.float32).view(np.int32)[:, None] + np.arange(-reach, reach + 1, dtype=np.int32)
    return np.maximum(bits, 0).ravel().view(np.float32)


def ties(format_name: str) -> np.ndarray:
    """Every value of the format that is not negative, and every midpoint between two of them; all exact in binary32."""
    values = decoded(format_name)
    values = np.unique(values[np.isfinite(values) & (values >= 0)])
    return np.concatenate([values, (values[:-1] + values[1:]) / np.float32(2)])


def inputs(format_name: str, scale: np.float32) -> np.ndarray:
    """Finite inputs that make the encoder work: the grid and its ties, each with its neighbours, where the product
    lands; and Gaussian, log-normal and subnormal-rich data. Both signs; products beyond the largest value are dropped."""
    random = np.random.default_rng(20240229)
    grid = ties(format_name)
    largest = grid.max()
    smallest = grid[grid > 0].min()
    magnitudes = np.concatenate(
        [
            neighbourhood((grid.astype(np.float64) / np.float64(scale)).astype(np.float32), 8),
            np.abs(random.standard_normal(1 << 17)).astype(np.float32) * (largest / 8 / scale),
            random.lognormal(0.0, 4.0, 1 << 17).astype(np.float32) * (largest / 64 / scale),
            random.uniform(0, 16, 1 << 17).astype(np.float32) * (smallest / scale),
            (np.arange(0x7F80, dtype=np.uint32) << 16).view(np.float32),  # every finite bfloat16
        ]
    )
    both = np.concatenate([magnitudes, -magnitudes])
    with np.errstate(over="ignore", invalid="ignore"):
        products = both * scale
    return both[np.isfinite(both) & (np.abs(products) <= largest)]


class Casts(unittest.TestCase):
    def assert_same_bytes(self, format_name: str, scale: np.float32, values: np.ndarray) -> None:
        products = values * scale
        self.assertEqual(products.dtype, np.float32)
        ours, theirs = tools.quantize("encode", format_name, scale, values), cast(format_name, products)
        wrong = np.flatnonzero(ours != theirs)
        self.assertEqual(ours.size, values.size)
        self.assertEqual(
            wrong.size,
            0,
            f"{format_name}: {wrong.size} of {values.size} bytes differ; the first: {float(values[wrong[:1]].sum()).hex()}"
            f" * {float(scale).hex()} is {ours[wrong[:1]]} here, {theirs[wrong[:1]]} there",
        )

    def test_every_code_decodes_to_the_value_that_others_give_it(self):
        for format_name in [*ML_DTYPES, *P3109]:
            with self.subTest(format=format_name):
                ours, theirs = tools.quantize("decode", format_name, ONE, codes(format_name)), decoded(format_name)
                np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
                number = ~np.isnan(theirs)
                np.testing.assert_array_equal(ours.view(np.uint32)[number], theirs.view(np.uint32)[number])

    def test_a_decoded_value_is_multiplied_once_in_binary32(self):
        for scale in map(np.float32, (1 / 3, 2.0**-120, 1e-40, 3e38)):
            ours, theirs = tools.quantize("decode", "e4m3", scale, codes("e4m3")), decoded("e4m3")
            number = ~np.isnan(theirs)
            with np.errstate(over="ignore", under="ignore"):
                expected = theirs[number] * scale
            np.testing.assert_array_equal(ours.view(np.uint32)[number], expected.view(np.uint32))

    def test_e4m3_bytes_of_scaled_finite_values_up_to_448_equal_the_cast_of_ml_dtypes(self):
        random = np.random.default_rng(7)
        scales = [1, 2.0**-3, 2.0**60, 2.0**-60, 37, 448 / 0.7265625, *random.lognormal(0, 6, 12)]
        for scale in map(np.float32, scales):
            with self.subTest(scale=float(scale).hex()):
                values = inputs("e4m3", scale)
                products = np.abs(values * scale)
                self.assertGreater(products.max(), 447.9)
                self.assertGreater(np.count_nonzero(products < 2.0**-6), 100_000)  # E4M3's subnormals are among them
                self.assert_same_bytes("e4m3", scale, values)

    def test_e4m3_ties_are_reached_through_the_scale_and_not_only_beside_it(self):
        midpoints = ties("e4m3")[127:]
        self.assertEqual(midpoints.size, 126)
        for scale in map(np.float32, (1, 2.0**-20, 2.0**40)):
            reached = np.isin(midpoints, inputs("e4m3", scale) * scale)
            self.assertTrue(reached.all())

    def test_e4m3_bytes_of_a_tensor_with_its_own_scale_equal_the_cast_of_ml_dtypes(self):
        random = np.random.default_rng(11)
        for sigma in (1e-30, 1e-3, 1.0, 1e5, 1e30):
            values = (random.standard_normal(1 << 17) * sigma).astype(np.float32)
            scale = np.float32(448) / np.abs(values).max()
            products = values * scale
            self.assert_same_bytes("e4m3", scale, values[np.abs(products) <= 448])

    def test_bytes_of_every_other_format_equal_the_cast_of_ml_dtypes(self):
        for format_name in ML_DTYPES:
            for scale in map(np.float32, (1, 2.0**-10, 37, 0.0123)):
                with self.subTest(format=format_name, scale=float(scale)):
                    self.assert_same_bytes(format_name, scale, inputs(format_name, scale))

    def test_bytes_of_the_p3109_formats_equal_the_rounding_of_gfloat(self):
        for format_name in P3109:
            for scale in map(np.float32, (1, 37)):
                with self.subTest(format=format_name, scale=float(scale)):
                    values = inputs(format_name, scale)
                    self.assert_same_bytes(format_name, scale, values[:: 1 + values.size // 400_000])


if __name__ == "__main__":
    unittest.main(verbosity=2)
