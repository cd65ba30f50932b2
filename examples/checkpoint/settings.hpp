// SPDX-License-Identifier: MIT
#ifndef QUAVER_EXAMPLES_CHECKPOINT_SETTINGS_HPP
#define QUAVER_EXAMPLES_CHECKPOINT_SETTINGS_HPP

#include <quaver/format/formats.hpp>
#include <quaver/io/dialect.hpp>
#include <quaver/scale/current_scale.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace checkpoint {

using namespace quaver;

/// What a value is stored as.
enum class element : uint8_t {
  e4m3,
  e5m2,
  e4m3fnuz,
  e5m2fnuz,
  e4m3b11fnuz,
  e4m3ieee,
  e3m4,
  binary8p3,
  binary8p4,
  e2m3,
  e3m2,
  e2m1,
};

inline constexpr std::array<std::string_view, 12> element_names{
    "e4m3", "e5m2",      "e4m3fnuz",  "e5m2fnuz", "e4m3b11fnuz", "e4m3ieee",
    "e3m4", "binary8p3", "binary8p4", "e2m3",     "e3m2",        "e2m1",
};

/// Calls visit(std::type_identity<F>) with the format of that name: the one place where a name becomes a type.
template <class Visit>
auto visit_format(element format, const Visit& visit) {
  switch (format) {
    case element::e4m3: break;
    case element::e5m2: return visit(std::type_identity<e5m2>());
    case element::e4m3fnuz: return visit(std::type_identity<e4m3fnuz>());
    case element::e5m2fnuz: return visit(std::type_identity<e5m2fnuz>());
    case element::e4m3b11fnuz: return visit(std::type_identity<e4m3b11fnuz>());
    case element::e4m3ieee: return visit(std::type_identity<e4m3ieee>());
    case element::e3m4: return visit(std::type_identity<e3m4>());
    case element::binary8p3: return visit(std::type_identity<binary8p3>());
    case element::binary8p4: return visit(std::type_identity<binary8p4>());
    case element::e2m3: return visit(std::type_identity<e2m3>());
    case element::e3m2: return visit(std::type_identity<e3m2>());
    case element::e2m1: return visit(std::type_identity<e2m1>());
  }
  return visit(std::type_identity<e4m3>());
}

struct layout_row {
  std::string_view name;
  scale_layout layout;
};
inline constexpr std::array<layout_row, 6> layout_rows{{
    {"tensor", per_tensor},
    {"row", per_row},
    {"1x128", blocks_1x128},
    {"128x128", blocks_128x128},
    {"mx", mx_1x32},
    {"nvfp4", nvfp4_1x16},
}};

/// What the user named, each part or not.
struct wishes {
  std::optional<element> format;
  std::optional<std::string_view> layout;  ///< a name of layout_rows
  std::optional<io::dialect> dialect;
  bool measure_only       = false;  ///< --dialect none: nothing is written, so every format goes with every layout
  scale_rounding rounding = scale_rounding::none;
};

/// How matrices are quantised and stored: the wishes, with what they left open filled in, known to fit together.
struct settings {
  element format               = element::e4m3;
  std::string_view layout_name = "tensor";
  scale_layout layout          = per_tensor;
  std::optional<io::dialect> dialect;  ///< none: measure only
  scale_rounding rounding = scale_rounding::none;

  [[nodiscard]] std::string_view format_name() const { return element_names[static_cast<size_t>(format)]; }
  [[nodiscard]] std::string_view dialect_name() const { return dialect ? io::dialect_name(*dialect) : "none"; }
  /// Two values a byte in the file.
  [[nodiscard]] bool packs_pairs() const { return format == element::e2m1; }
};

std::optional<element> element_from_name(std::string_view name);

/// The layouts that a dialect can store, as its own rules in io/dialect.hpp say.
std::string layouts_of(io::dialect id);

result<settings> settle(const wishes& asked);

}  // namespace checkpoint

#endif
