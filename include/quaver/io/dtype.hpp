// SPDX-License-Identifier: MIT
#ifndef QUAVER_IO_DTYPE_HPP
#define QUAVER_IO_DTYPE_HPP

#include <quaver/format/formats.hpp>
#include <quaver/format/packed.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>

QUAVER_BEGIN_NAMESPACE
namespace io {

/// The element types of the safetensors format. The order is part of the format's custom: writers lay tensors out from
/// the last type here to the first, so that every tensor lies at a multiple of its element size without padding.
enum class dtype : uint8_t {
  boolean,  ///< a byte, 0 or 1
  f4,       ///< e2m1, two to a byte
  f6_e2m3,  ///< four to three bytes
  f6_e3m2,  ///< four to three bytes
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,  ///< two binary32: real, imaginary
  f64,
  i64,
  u64,
};

struct dtype_row {
  dtype type;
  std::string_view name;  ///< as in a file's header
  unsigned bits;          ///< of one element
};

inline constexpr std::array<dtype_row, 22> dtype_rows{{
    {dtype::boolean, "BOOL", 8},
    {dtype::f4, "F4", 4},
    {dtype::f6_e2m3, "F6_E2M3", 6},
    {dtype::f6_e3m2, "F6_E3M2", 6},
    {dtype::u8, "U8", 8},
    {dtype::i8, "I8", 8},
    {dtype::f8_e5m2, "F8_E5M2", 8},
    {dtype::f8_e4m3, "F8_E4M3", 8},
    {dtype::f8_e8m0, "F8_E8M0", 8},
    {dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
    {dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
    {dtype::i16, "I16", 16},
    {dtype::u16, "U16", 16},
    {dtype::f16, "F16", 16},
    {dtype::bf16, "BF16", 16},
    {dtype::i32, "I32", 32},
    {dtype::u32, "U32", 32},
    {dtype::f32, "F32", 32},
    {dtype::c64, "C64", 64},
    {dtype::f64, "F64", 64},
    {dtype::i64, "I64", 64},
    {dtype::u64, "U64", 64},
}};

constexpr std::string_view dtype_name(dtype type) noexcept { return dtype_rows[static_cast<size_t>(type)].name; }
constexpr unsigned bits_per_element(dtype type) noexcept { return dtype_rows[static_cast<size_t>(type)].bits; }

/// The dtype of that name, spelt exactly as in a header; nothing for any other text.
constexpr std::optional<dtype> dtype_from_name(std::string_view name) noexcept {
  for (const dtype_row& row : dtype_rows) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

constexpr bool rows_follow_the_enum() noexcept {
  for (size_t i = 0; i < dtype_rows.size(); ++i) {
    if (static_cast<size_t>(dtype_rows[i].type) != i) return false;
  }
  return true;
}
static_assert(rows_follow_the_enum(), "dtype_name and bits_per_element index the table by the enumerator");

/// Codes that mean nothing without a scale beside them: 8-bit floats. (A weight in F4 or F6 needs one too, but those
/// types also come as bytes under another dtype; see dialect.hpp.) E8M0 is left out: it is what scales are stored in.
constexpr bool is_fp8(dtype type) noexcept {
  return type == dtype::f8_e4m3 || type == dtype::f8_e5m2 || type == dtype::f8_e4m3fnuz || type == dtype::f8_e5m2fnuz;
}

// ---- C++ type to dtype ----------------------------------------------------------------------------------------------

/// Primary: no dtype. The formats that safetensors cannot name (e4m3b11fnuz, e4m3ieee, e3m4, binary8p3, binary8p4) stay
/// here, so that nobody stores them under a name that means other values.
template <class T>
inline constexpr std::optional<dtype> dtype_if_any = std::nullopt;

template <>
inline constexpr std::optional<dtype> dtype_if_any<bool> = dtype::boolean;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e2m1> = dtype::f4;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e2m1x2> = dtype::f4;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e2m3> = dtype::f6_e2m3;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e3m2> = dtype::f6_e3m2;
template <>
inline constexpr std::optional<dtype> dtype_if_any<uint8_t> = dtype::u8;
template <>
inline constexpr std::optional<dtype> dtype_if_any<int8_t> = dtype::i8;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e5m2> = dtype::f8_e5m2;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e4m3> = dtype::f8_e4m3;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e8m0> = dtype::f8_e8m0;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e4m3fnuz> = dtype::f8_e4m3fnuz;
template <>
inline constexpr std::optional<dtype> dtype_if_any<e5m2fnuz> = dtype::f8_e5m2fnuz;
template <>
inline constexpr std::optional<dtype> dtype_if_any<int16_t> = dtype::i16;
template <>
inline constexpr std::optional<dtype> dtype_if_any<uint16_t> = dtype::u16;
template <>
inline constexpr std::optional<dtype> dtype_if_any<half> = dtype::f16;
template <>
inline constexpr std::optional<dtype> dtype_if_any<bfloat16> = dtype::bf16;
template <>
inline constexpr std::optional<dtype> dtype_if_any<int32_t> = dtype::i32;
template <>
inline constexpr std::optional<dtype> dtype_if_any<uint32_t> = dtype::u32;
template <>
inline constexpr std::optional<dtype> dtype_if_any<float> = dtype::f32;
template <>
inline constexpr std::optional<dtype> dtype_if_any<double> = dtype::f64;
template <>
inline constexpr std::optional<dtype> dtype_if_any<int64_t> = dtype::i64;
template <>
inline constexpr std::optional<dtype> dtype_if_any<uint64_t> = dtype::u64;

/// A type whose values a file can hold, in whatever packing.
template <class T>
concept has_dtype = dtype_if_any<T>.has_value();

/// The dtype under which values of `T` are stored. e2m1, e2m3 and e3m2 take a byte each in memory and 4 or 6 bits in a
/// file: for them the dtype names the format, and packing is the caller's (e2m1x2 is packed already).
template <has_dtype T>
inline constexpr dtype dtype_of = *dtype_if_any<T>;

/// A type whose arrays have the same bytes in memory as in a file. bool is left out: reading a byte other than 0 and 1
/// as one is undefined.
template <class T>
concept file_element = has_dtype<T> && !std::is_same_v<T, bool> &&
                       (std::is_same_v<T, e2m1x2> || sizeof(T) * 8 == bits_per_element(*dtype_if_any<T>));

static_assert(dtype_of<e4m3> == dtype::f8_e4m3 && dtype_of<half> == dtype::f16 && dtype_of<e2m1x2> == dtype::f4);
static_assert(!has_dtype<e4m3b11fnuz> && !has_dtype<e3m4>);
static_assert(file_element<e4m3> && file_element<e2m1x2> && !file_element<e2m1> && !file_element<bool>);

}  // namespace io
QUAVER_END_NAMESPACE

#endif
