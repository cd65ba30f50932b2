# SPDX-License-Identifier: MIT
"""The golden vectors against two independent implementations: gfloat (every format, every mode) and ml_dtypes
(nearest even, where it has the format).

gfloat has no round-to-odd; it is put together here from its two directed roundings. Its stochastic rounding with 32
bits goes away from zero iff fraction + bits * 2^-32 >= 1, which for bits = 2^32 - 1 - r is our r < floor(2^32 *
fraction).

Where a peer differs, DIFFERENCES says in which rows, why, and what the peer answers instead; it must answer just that,
so that a peer that changes its mind is noticed.
"""

import collections
import csv
import math
import pathlib
import unittest

import gfloat
import ml_dtypes
import numpy as np
from gfloat import RoundMode
from gfloat.formats import format_info_bfloat16, format_info_binary16, format_info_ocp_e8m0, format_info_p3109
from gfloat.types import Domain, FormatInfo

HERE = pathlib.Path(__file__).parent


def like_ieee(name: str, width: int, precision: int) -> FormatInfo:
    """IEEE 754's rules at any width: the top exponent holds infinity and NaNs."""
    return FormatInfo(
        name, k=width, precision=precision, bias=2 ** (width - precision - 1) - 1, is_signed=True,
        domain=Domain.Extended, has_nz=True, num_high_nans=2 ** (precision - 1) - 1, has_subnormals=True,
        is_twos_complement=False,
    )  # fmt: skip


def finite(name: str, width: int, precision: int, bias: int, has_nz: bool, num_high_nans: int) -> FormatInfo:
    return FormatInfo(
        name, k=width, precision=precision, bias=bias, is_signed=True, domain=Domain.Finite, has_nz=has_nz,
        num_high_nans=num_high_nans, has_subnormals=True, is_twos_complement=False,
    )  # fmt: skip


GFLOAT = {
    "e4m3": finite("e4m3", 8, 4, 7, True, 1),
    "e5m2": like_ieee("e5m2", 8, 3),
    "e4m3fnuz": finite("e4m3fnuz", 8, 4, 8, False, 0),
    "e5m2fnuz": finite("e5m2fnuz", 8, 3, 16, False, 0),
    "e4m3b11fnuz": finite("e4m3b11fnuz", 8, 4, 11, False, 0),
    "e4m3ieee": like_ieee("e4m3ieee", 8, 4),
    "e3m4": like_ieee("e3m4", 8, 5),
    "binary8p3": format_info_p3109(8, 3),
    "binary8p4": format_info_p3109(8, 4),
    "e8m0": format_info_ocp_e8m0,
    "e2m3": finite("e2m3", 6, 4, 1, True, 0),
    "e3m2": finite("e3m2", 6, 3, 3, True, 0),
    "e2m1": finite("e2m1", 4, 2, 1, True, 0),
    "half": format_info_binary16,
    "bfloat16": format_info_bfloat16,
}

ML_DTYPES = {
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "e4m3ieee": ml_dtypes.float8_e4m3,
    "e3m4": ml_dtypes.float8_e3m4,
    "e8m0": ml_dtypes.float8_e8m0fnu,
    "e2m3": ml_dtypes.float6_e2m3fn,
    "e3m2": ml_dtypes.float6_e3m2fn,
    "e2m1": ml_dtypes.float4_e2m1fn,
    "half": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}

SOURCES = {
    "float32": (np.uint32, np.float32),
    "float64": (np.uint64, np.float64),
    "float16": (np.uint16, np.float16),
    "bfloat16": (np.uint16, ml_dtypes.bfloat16),
    "int32": (np.uint32, np.int32),
    "int64": (np.uint64, np.int64),
}

ROUND = {
    "nearest_even": RoundMode.TiesToEven,
    "nearest_away": RoundMode.TiesToAway,
    "toward_zero": RoundMode.TowardZero,
    "upward": RoundMode.TowardPositive,
    "downward": RoundMode.TowardNegative,
}

Row = collections.namedtuple("Row", "format rounding overflow source input random code")


def rows(kind: str, format_name: str) -> list:
    with open(HERE / f"{kind}_{format_name}.csv", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        return list(reader)


def value_of(row: Row):
    """The input as a number of its own type."""
    bits, source = SOURCES[row.source]
    return np.array([int(row.input, 16)], bits).view(source)[0]


def sticky(number) -> float:
    """The double that rounds as the number does: an integer of more than 53 digits keeps one bit for the rest."""
    if not isinstance(number, np.integer):
        return float(number)
    n = abs(int(number))
    shift = max(0, n.bit_length() - 53)
    kept = n >> shift
    if kept << shift != n:
        kept |= 1
    return math.copysign(math.ldexp(kept, shift), int(number))


def magnitude(row: Row) -> float:
    return abs(sticky(value_of(row)))


def is_negative(row: Row) -> bool:
    return math.copysign(1, sticky(value_of(row))) < 0


def canonical_nan(info: FormatInfo, format_name: str) -> int:
    """The one NaN of design decision 1; the largest value where there is none."""
    by_name = {"half": 0x7E00, "bfloat16": 0x7FC0, "e8m0": 0xFF}
    if format_name in by_name:
        return by_name[format_name]
    if info.num_nans == 0:
        return info.code_of_max
    return 0x7F if info.has_nz else 0x80


class Gfloat:
    """gfloat's answer to a row."""

    def __init__(self, format_name: str):
        self.name = format_name
        self.info = GFLOAT[format_name]

    def rounded(self, v: float, mode: RoundMode, sat: bool, **words) -> int:
        """The code, with NaN made canonical, as no peer says which NaN it means."""
        if math.isnan(v):
            return canonical_nan(self.info, self.name)
        try:
            result = gfloat.round_float(self.info, v, mode, sat, **words)
        except ValueError:  # neither infinity nor NaN in the format
            result = gfloat.round_float(self.info, v, mode, True, **words)
        if math.isnan(result):
            return canonical_nan(self.info, self.name)
        return gfloat.encode_float(self.info, result)

    def code(self, row: Row) -> int:
        v = sticky(value_of(row))
        sat = row.overflow == "saturate" or (row.overflow == "saturate_finite" and not math.isinf(v))
        if row.rounding == "stochastic":
            bits = 2**32 - 1 - int(row.random, 16)
            return self.rounded(v, RoundMode.StochasticFastest, sat, srbits=bits, srnumbits=32)
        if row.rounding != "to_odd":
            return self.rounded(v, ROUND[row.rounding], sat)
        if not math.isfinite(v):
            return self.rounded(v, RoundMode.TiesToEven, sat)
        inner = self.rounded(v, RoundMode.TowardZero, True)
        away = RoundMode.TowardNegative if math.copysign(1, v) < 0 else RoundMode.TowardPositive
        if inner % 2 == 1 or gfloat.decode_float(self.info, inner).fval == v or abs(v) > self.info.max:
            return inner
        return self.rounded(v, away, True)


class MlDtypes:
    """ml_dtypes' answer to a row: it has nearest even and no saturation."""

    def __init__(self, format_name: str):
        self.info = GFLOAT[format_name]
        self.name = format_name

    def has(self, row: Row) -> bool:
        if row.rounding != "nearest_even":
            return False
        v = sticky(value_of(row))
        return row.overflow == "nonfinite" or math.isnan(v) or abs(v) <= self.info.max

    def code(self, row: Row) -> int:
        x = np.array([value_of(row)])
        if row.source in ("int32", "int64", "bfloat16"):
            x = np.array([sticky(x[0])])
        with np.errstate(over="ignore", invalid="ignore"):
            y = x.astype(ML_DTYPES[self.name])
        code = int(y.view(np.uint16 if self.name in ("half", "bfloat16") else np.uint8)[0])
        if not math.isnan(float(y[0])) or self.info.num_nans == 0:
            return code
        return canonical_nan(self.info, self.name)  # numpy keeps NaN's sign and payload: see decision 1


def narrowed(row: Row) -> Row:
    """The row with its input rounded to a float first."""
    with np.errstate(over="ignore"):
        x = np.array([sticky(value_of(row))]).astype(np.float32)
    return row._replace(source="float32", input=f"{x.view(np.uint32)[0]:08x}")


Difference = collections.namedtuple("Difference", "name peer formats applies theirs")
DIFFERENCES = [
    Difference(
        name="e8m0 has no zero: NaN in ml_dtypes, the smallest scale 00 here (design decision 3)",
        peer=(MlDtypes,),
        formats=("e8m0",),
        applies=lambda row: sticky(value_of(row)) == 0,
        theirs=lambda row: 0xFF,
    ),
    Difference(
        name="what rounds below 2^-127 in e8m0 is NaN in gfloat, 00 here (design decision 3)",
        peer=(Gfloat,),
        formats=("e8m0",),
        applies=lambda row: 0 <= sticky(value_of(row)) < 2.0**-128,
        theirs=lambda row: 0xFF,
    ),
    Difference(
        name="e8m0 has no sign: gfloat drops that of -infinity under saturation, here everything negative is NaN",
        peer=(Gfloat,),
        formats=("e8m0",),
        applies=lambda row: row.overflow == "saturate" and sticky(value_of(row)) == -math.inf,
        theirs=lambda row: 0xFE,
    ),
    Difference(
        name="ml_dtypes rounds ties of e8m0 up, away from the even code",
        peer=(MlDtypes,),
        formats=("e8m0",),
        applies=lambda row: magnitude(row) > 2.0**-126 and math.frexp(sticky(value_of(row)))[0] == 0.75,
        theirs=lambda row: math.frexp(magnitude(row))[1] + 127,
    ),
    Difference(
        name="ml_dtypes rounds subnormal floats from 2^-127 on up to 2^-126 in e8m0",
        peer=(MlDtypes,),
        formats=("e8m0",),
        applies=lambda row: 2.0**-127 < sticky(value_of(row)) < 2.0**-126,
        theirs=lambda row: 0x01,
    ),
    Difference(
        name="without a NaN in the format: ml_dtypes gives zero with the other sign, CUDA and we the largest value",
        peer=(MlDtypes,),
        formats=("e2m3", "e3m2", "e2m1"),
        applies=lambda row: math.isnan(sticky(value_of(row))),
        theirs=lambda row: 0 if is_negative(row) else {"e2m3": 0x20, "e3m2": 0x20, "e2m1": 0x08}[row.format],
    ),
    Difference(
        name="NumPy's casts from float64 and int64 to ml_dtypes' types go through float32 and round twice",
        peer=(MlDtypes,),
        formats=tuple(set(ML_DTYPES) - {"half"}),
        applies=lambda row: row.source in ("float64", "int64") and magnitude(row) < math.inf,
        theirs=lambda row: MlDtypes(row.format).code(narrowed(row)),
    ),
]


class Vectors(unittest.TestCase):
    def compare(self, peer, row_filter):
        """Every row that row_filter takes; returns how many those were."""
        wrong, compared = [], 0
        for row in (Row(*cells) for cells in rows("encode", peer.name)):
            if not row_filter(row):
                continue
            differing = [d for d in DIFFERENCES if type(peer) in d.peer and peer.name in d.formats and d.applies(row)]
            expected = differing[0].theirs(row) if differing else int(row.code, 16)
            theirs = peer.code(row)
            compared += 1
            if theirs != expected:
                why = differing[0].name if differing else "agreement"
                wrong.append(f"{','.join(row)}: the peer gives {theirs:02x}, {expected:02x} was expected ({why})")
        self.assertEqual(len(wrong), 0, f"{len(wrong)} of {compared} rows:\n" + "\n".join(wrong[:12]))
        return compared

    def test_every_row_is_what_gfloat_gives(self):
        for format_name in GFLOAT:
            with self.subTest(format=format_name):
                compared = self.compare(Gfloat(format_name), lambda row: True)
                self.assertGreater(compared, 1000)

    def test_rows_to_nearest_even_are_what_ml_dtypes_gives(self):
        for format_name in ML_DTYPES:
            with self.subTest(format=format_name):
                peer = MlDtypes(format_name)
                compared = self.compare(peer, peer.has)
                self.assertGreater(compared, 200)

    def test_decoded_values_are_what_gfloat_gives(self):
        for format_name, info in GFLOAT.items():
            with self.subTest(format=format_name):
                for _, code, text, float32 in rows("decode", format_name):
                    theirs = float(gfloat.decode_float(info, int(code, 16)).fval)
                    ours = math.nan if text == "nan" else float.fromhex(text)
                    as_float32 = np.array([int(float32, 16)], np.uint32).view(np.float32)[0]
                    if math.isnan(ours):
                        self.assertTrue(math.isnan(theirs) and float32 == "7fc00000", code)
                        continue
                    self.assertEqual(theirs.hex(), ours.hex(), code)
                    self.assertEqual(float(as_float32).hex(), ours.hex(), code)


if __name__ == "__main__":
    unittest.main()
