// SPDX-License-Identifier: MIT
#include "options.hpp"

#include "text.hpp"

#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace checkpoint {

namespace {

status misuse(const std::string& what) { return {status_code::invalid_argument, what}; }

enum option_id : int {
  id_output = 256,
  id_format,
  id_layout,
  id_dialect,
  id_scale_rounding,
  id_include,
  id_exclude,
  id_on_nonfinite,
  id_shard_size,
  id_seed,
  id_gemm_rows,
  id_report,
  id_force,
  id_quiet,
  id_help,
  id_version,
};

constexpr ::option long_options[] = {
    {"output", required_argument, nullptr, id_output},
    {"format", required_argument, nullptr, id_format},
    {"layout", required_argument, nullptr, id_layout},
    {"dialect", required_argument, nullptr, id_dialect},
    {"scale-rounding", required_argument, nullptr, id_scale_rounding},
    {"include", required_argument, nullptr, id_include},
    {"exclude", required_argument, nullptr, id_exclude},
    {"on-nonfinite", required_argument, nullptr, id_on_nonfinite},
    {"shard-size", required_argument, nullptr, id_shard_size},
    {"seed", required_argument, nullptr, id_seed},
    {"gemm-rows", required_argument, nullptr, id_gemm_rows},
    {"report", required_argument, nullptr, id_report},
    {"force", no_argument, nullptr, id_force},
    {"quiet", no_argument, nullptr, id_quiet},
    {"help", no_argument, nullptr, id_help},
    {"version", no_argument, nullptr, id_version},
    {nullptr, 0, nullptr, 0},
};

std::string name_of(int id) {
  for (const ::option& row : long_options) {
    if (row.name != nullptr && row.val == id) return std::string("--") + row.name;
  }
  return "the option";
}

status unknown(int id, const char* value, const std::string& known) {
  return misuse(name_of(id) + " does not know \"" + value + "\"; it knows: " + known);
}

// A number with an optional suffix in powers of ten: 500MB.
result<uint64_t> number(int id, const std::string& text, bool takes_suffix) {
  uint64_t value           = 0;
  const char* const to     = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), to, value);
  const std::string suffix(rest, to);
  uint64_t unit = suffix.empty() ? 1 : 0;
  if (takes_suffix && suffix == "kB") unit = 1'000;
  if (takes_suffix && suffix == "MB") unit = 1'000'000;
  if (takes_suffix && suffix == "GB") unit = 1'000'000'000;
  uint64_t product = 0;
  if (error != std::errc() || unit == 0 || __builtin_mul_overflow(value, unit, &product)) {
    return misuse(name_of(id) + " needs a number" + (takes_suffix ? " of bytes, or of kB, MB or GB" : "") + ", not \"" +
                  text + "\"");
  }
  return product;
}

std::string all_elements() { return joined({element_names.begin(), element_names.end()}); }

template <class Rows>
std::string all_names(const Rows& rows) {
  std::vector<std::string> names;
  names.reserve(rows.size());
  for (const auto& row : rows) names.emplace_back(row.name);
  return joined(names);
}
std::string all_layouts() { return all_names(layout_rows); }
std::string all_dialects() { return all_names(io::dialect_rows) + ", none"; }

// The options that choose how matrices are quantised.
status take_wish(int id, const char* value, options& out) {
  const std::string text = value;
  if (id == id_format) {
    out.asked.format = element_from_name(text);
    return out.asked.format ? status() : unknown(id, value, all_elements());
  }
  if (id == id_layout) {
    for (const layout_row& row : layout_rows) {
      if (row.name == text) out.asked.layout = row.name;
      if (row.name == text) return {};
    }
    return unknown(id, value, all_layouts());
  }
  if (id == id_dialect) {
    out.asked.measure_only = text == "none";
    out.asked.dialect      = io::dialect_from_name(text == "deepseek" ? "deepseek-block" : text);
    return out.asked.dialect || out.asked.measure_only ? status() : unknown(id, value, all_dialects());
  }
  if (id == id_scale_rounding) {
    out.asked.rounding = text == "power-of-two" ? scale_rounding::power_of_two : scale_rounding::none;
    return text == "power-of-two" || text == "none" ? status() : unknown(id, value, "none, power-of-two");
  }
  out.on_nonfinite = text == "copy"   ? nonfinite_action::copy
                     : text == "unit" ? nonfinite_action::unit
                                      : nonfinite_action::refuse;
  const bool known = text == "refuse" || text == "copy" || text == "unit";
  return known ? status() : unknown(id, value, "refuse, copy, unit");
}

status take_number(int id, const char* value, options& out) {
  const result<uint64_t> read = number(id, value, id == id_shard_size);
  if (!read) return read.error();
  if (id == id_seed) out.seed = *read;
  if (id == id_shard_size) {
    if (*read == 0) return misuse("--shard-size needs more than 0 bytes");
    out.shard_size = *read;
  }
  if (id == id_gemm_rows) {
    constexpr uint64_t most = 65'536;
    if (*read > most) return misuse("--gemm-rows takes up to 65536, not " + std::to_string(*read));
    out.gemm_rows = static_cast<int64_t>(*read);
  }
  return {};
}

}  // namespace

const std::vector<std::string>& default_exclusions() {
  static const std::vector<std::string> patterns{"*embed*",   "*wte.weight", "*wpe.weight",
                                                 "*lm_head*", "*router*",    "*mlp.gate.weight"};
  return patterns;
}

result<command_line> parse_command_line(int argc, char** argv) {
  command_line line;
  options& out = line.chosen;
  ::opterr     = 0;  // getopt's own complaints would be a second line beside ours
  for (int id = 0; (id = ::getopt_long(argc, argv, ":", long_options, nullptr)) != -1;) {
    switch (id) {
      case ':': return misuse(std::string(argv[::optind - 1]) + " needs a value");
      case '?': {
        const bool is_letter = ::optopt > 0 && ::optopt < 256;  // -x, perhaps among others behind one dash
        return misuse("unknown, ambiguous or ill-used option " +
                      (is_letter ? std::string{'-', static_cast<char>(::optopt)} : std::string(argv[::optind - 1])));
      }
      case id_help: line.wanted = request::help; return line;
      case id_version: line.wanted = request::version; return line;
      case id_output: out.output = ::optarg; break;
      case id_report: out.report = ::optarg; break;
      case id_include: out.include.emplace_back(::optarg); break;
      case id_exclude: out.exclude.emplace_back(::optarg); break;
      case id_force: out.force = true; break;
      case id_quiet: out.quiet = true; break;
      case id_seed:
      case id_shard_size:
      case id_gemm_rows:
        if (status bad = take_number(id, ::optarg, out); !bad.ok()) return bad;
        break;
      default:
        if (status bad = take_wish(id, ::optarg, out); !bad.ok()) return bad;
    }
  }
  if (argc - ::optind > 1) {
    return misuse("one INPUT is taken, not " + std::to_string(argc - ::optind) + "; the second is \"" +
                  argv[::optind + 1] + "\"");
  }
  if (out.asked.dialect == io::dialect::tensorrt_llm && out.shard_size != 0) {
    return misuse("tensorrt-llm has one file a rank, so --shard-size cannot be");
  }
  out.input = ::optind < argc ? argv[::optind] : QUAVER_CHECKPOINT_INPUT;
  if (out.asked.measure_only && !out.output.empty())
    return misuse("--dialect none writes nothing, so --output cannot be");
  if (out.output.empty() && !out.asked.measure_only) out.output = QUAVER_CHECKPOINT_OUTPUT;
  return line;
}

std::string help_text() {
  std::string dialects;
  for (const io::dialect_row& row : io::dialect_rows) {
    dialects +=
        formatted("                             %-19s %s\n", std::string(row.name).c_str(), layouts_of(row.id).c_str());
  }
  return "Usage: quaver_checkpoint [OPTION]... [INPUT]\n"
         "\n"
         "Quantises the matrices of a safetensors checkpoint, writes the checkpoint in the words of a\n"
         "quantisation system, reads it back, and reports what it cost, tensor by tensor.\n"
         "\n"
         "INPUT is a .safetensors file, a model.safetensors.index.json, or a directory with either.\n"
         "Default: " QUAVER_CHECKPOINT_INPUT
         "\n"
         "\n"
         "  --output DIR           where to write the checkpoint; it appears there whole or not at all\n"
         "                         Default: " QUAVER_CHECKPOINT_OUTPUT
         "\n"
         "  --force                if DIR holds something else, move that aside to DIR.replaced-N\n"
         "  --dialect NAME         whose names and config to write, and the layouts it can store:\n" +
         dialects +
         "                             none                write nothing, only measure: any layout and format\n"
         "                         Default: the usual one for the layout, hf-fp8 without one\n"
         "  --layout NAME          which values share a scale: " +
         all_layouts() +
         "\n"
         "                         (mx: 1x32 under E8M0; nvfp4: 1x16 under E4M3 and one number above)\n"
         "                         Default: tensor; 128x128 for deepseek-block, row for compressed-tensors\n"
         "  --format NAME          " +
         all_elements() +
         "\n"
         "                         Default: e4m3; e2m1 with nvfp4. Dialects store these two alone\n"
         "  --scale-rounding RULE  none, or power-of-two: scales rounded so that the largest value still fits\n"
         "  --include PATTERN      quantise only matrices whose name matches; may be given often. Without it all\n"
         "                         but " +
         joined(default_exclusions()) +
         "\n"
         "                         --include '*' quantises those too\n"
         "  --exclude PATTERN      leave matching tensors as they are, whatever --include says; may be given often\n"
         "  --on-nonfinite ACTION  for a matrix with NaN or infinity: refuse (default); copy it as it is; unit:\n"
         "                         quantise it, with scale 1 where its scale would be NaN or infinite\n"
         "  --shard-size BYTES     start another file after this many (5GB by default; kB, MB, GB)\n"
         "  --seed N               of the Gaussian activations that measure the GEMM (1)\n"
         "  --gemm-rows M          how many rows of them (16); 0 measures no GEMM\n"
         "  --report FILE          write the report as JSON too\n"
         "  --quiet                print nothing but errors\n"
         "  --help, --version\n"
         "\n"
         "Patterns are shell patterns on tensor names: * ? [a-z]. Matrices are tensors of two axes in F32, F16 or\n"
         "BF16; everything else is copied unchanged. Exit status: 0, 1 when the work fails, 2 for a misuse.\n";
}

}  // namespace checkpoint
