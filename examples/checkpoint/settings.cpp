// SPDX-License-Identifier: MIT
#include "settings.hpp"

#include "text.hpp"

#include <algorithm>

namespace checkpoint {

namespace {

const layout_row& layout_named(std::string_view name) {
  return *std::find_if(layout_rows.begin(), layout_rows.end(), [&](const layout_row& row) { return row.name == name; });
}

bool can_store(io::dialect id, const layout_row& row) {
  const bool fp4 = row.layout.type == scale_type::nvfp4_e4m3;
  const io::tensor_info probe{"m.weight", fp4 ? io::dtype::u8 : io::dtype::f8_e4m3, {256, 256}};
  return io::declare_scales(id, probe, row.layout).ok();
}

std::string_view usual_layout(io::dialect id) {
  switch (id) {
    case io::dialect::deepseek_block: return "128x128";
    case io::dialect::compressed_tensors: return "row";
    default: return "tensor";
  }
}

// The dialect whose readers are the most likely ones for a layout.
std::optional<io::dialect> usual_dialect(std::string_view layout) {
  if (layout == "tensor") return io::dialect::hf_fp8;
  if (layout == "row") return io::dialect::compressed_tensors;
  if (layout == "1x128" || layout == "128x128") return io::dialect::deepseek_block;
  if (layout == "nvfp4") return io::dialect::modelopt;
  return std::nullopt;
}

status refused(const std::string& what) { return {status_code::invalid_argument, what}; }

}  // namespace

std::optional<element> element_from_name(std::string_view name) {
  const auto at = std::find(element_names.begin(), element_names.end(), name);
  if (at == element_names.end()) return std::nullopt;
  return static_cast<element>(at - element_names.begin());
}

std::string layouts_of(io::dialect id) {
  std::vector<std::string> names;
  for (const layout_row& row : layout_rows) {
    if (can_store(id, row)) names.emplace_back(row.name);
  }
  return joined(names);
}

result<settings> settle(const wishes& asked) {
  settings out;
  out.rounding = asked.rounding;
  out.dialect  = asked.dialect;
  if (!out.dialect && !asked.measure_only) {
    out.dialect = usual_dialect(asked.layout.value_or("tensor"));
    if (!out.dialect) {
      return refused("no dialect stores the layout " + std::string(*asked.layout) +
                     "; --dialect none measures it and writes nothing");
    }
  }
  const layout_row& row = layout_named(asked.layout.value_or(out.dialect ? usual_layout(*out.dialect) : "tensor"));
  out.layout_name       = row.name;
  out.layout            = row.layout;
  const bool fp4        = row.layout.type == scale_type::nvfp4_e4m3;
  out.format            = asked.format.value_or(fp4 ? element::e2m1 : element::e4m3);

  if (out.dialect && !can_store(*out.dialect, row)) {
    return refused("the dialect " + std::string(out.dialect_name()) + " cannot store the layout " +
                   std::string(row.name) + "; it has: " + layouts_of(*out.dialect));
  }
  if (fp4 && out.format != element::e2m1) {
    return refused("the layout nvfp4 scales e2m1, not " + std::string(out.format_name()));
  }
  // Readers of every dialect take 8-bit codes for E4M3, whatever dtype the file gives them.
  if (out.dialect && !fp4 && out.format != element::e4m3) {
    return refused("the dialect " + std::string(out.dialect_name()) + " cannot store the format " +
                   std::string(out.format_name()) + " under the layout " + std::string(row.name) +
                   "; it has: e4m3; --dialect none measures any format and writes nothing");
  }
  return out;
}

}  // namespace checkpoint
