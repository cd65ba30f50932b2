// SPDX-License-Identifier: MIT
//
// Takes a model's weights to FP8 and shows what that cost: plan, then tensor by tensor quantise, measure and store,
// then read everything back before the checkpoint gets its name. Each step has a file of its own.

#include "evaluate.hpp"
#include "matrix_source.hpp"
#include "options.hpp"
#include "plan.hpp"
#include "read_model.hpp"
#include "report.hpp"
#include "side_files.hpp"
#include "staging.hpp"
#include "tensor_store.hpp"
#include "text.hpp"
#include "verify.hpp"

#include <unistd.h>

#include <cstdio>
#include <new>

namespace checkpoint {

namespace {

// "[3/17] name" on a terminal, one line that is written over; nothing elsewhere.
class progress_line {
 public:
  explicit progress_line(bool quiet) : shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}
  ~progress_line() { erase(); }
  progress_line(const progress_line&)            = delete;
  progress_line& operator=(const progress_line&) = delete;

  void show(size_t step, size_t steps, const std::string& what) {
    if (shown_) std::fprintf(stderr, "\r\033[K[%zu/%zu] %.60s", step, steps, what.c_str());
  }
  void erase() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

 private:
  bool shown_;
};

uint64_t stored_bytes(const planned_tensor& tensor) {
  uint64_t bytes = io::byte_count(tensor.stored).value();
  for (const io::tensor_info& scale : tensor.scales) bytes += io::byte_count(scale).value();
  return bytes;
}

// What the codes and scales take where nothing is stored.
uint64_t measured_bytes(const quantized_matrix& matrix, element format) {
  const auto bits =
      visit_format(format, []<class F>(std::type_identity<F>) { return static_cast<uint64_t>(F::width); });
  return (matrix.codes.size() * bits + 7) / 8 + matrix.scales.size() * 4 + matrix.scales_e8m0.size() +
         (matrix.scales_e4m3.empty() ? 0 : matrix.scales_e4m3.size() + 4);
}

// Quantises, measures and (with a store) writes every tensor of the plan.
result<run_report> work(const std::vector<planned_tensor>& plan, const options& chosen, const settings& how,
                        tensor_store* store) {
  run_report run{how, chosen.seed, chosen.gemm_rows, {}, {}};
  progress_line progress(chosen.quiet);
  for (const planned_tensor& tensor : plan) {
    progress.show(run.matrices.size() + run.copies.size() + 1, plan.size(), tensor.source->name);
    if (!tensor.quantised()) {
      run.copies.push_back(&tensor);
      if (store == nullptr) continue;
      if (status bad = store->copy(tensor); !bad.ok()) return bad;
      continue;
    }
    const result<std::vector<float>> values = load_floats(*tensor.source);
    if (!values) return values.error();
    const auto rows                       = static_cast<int64_t>(tensor.source->shape[0]);
    const auto cols                       = static_cast<int64_t>(tensor.source->shape[1]);
    const result<quantized_matrix> matrix = quantize_matrix(*values, rows, cols, how);
    if (!matrix) return matrix.error();
    result<tensor_report> report =
        evaluate(*tensor.source, *values, *matrix, how.format, chosen.gemm_rows, chosen.seed);
    if (!report) return report.error();
    report->bytes_before = tensor.source->data.size();
    report->bytes_after  = store != nullptr ? stored_bytes(tensor) : measured_bytes(*matrix, how.format);
    run.matrices.push_back(std::move(*report));
    if (store == nullptr) continue;
    if (status bad = store->write(tensor, *matrix, how.format); !bad.ok()) return bad;
  }
  return run;
}

// Writes, reads back, and only then lets the directory take its name. Returns what to say of it.
result<std::string> write_checkpoint(const std::vector<planned_tensor>& plan, const io::sharded_checkpoint& input,
                                     const std::string& model_config, const options& chosen, const settings& how,
                                     run_report& run) {
  result<staging_directory> staging = staging_directory::create(chosen.output, chosen.force);
  if (!staging) return staging.error();
  result<tensor_store> store = tensor_store::create(staging->path(), plan, how, chosen.shard_size);
  if (!store) return store.error();
  result<run_report> worked = work(plan, chosen, how, &*store);
  if (!worked) return worked.error();
  if (status bad = store->finish(); !bad.ok()) return bad;
  const result<side_files> files = write_side_files(staging->path(), input, chosen, how, model_config, plan);
  if (!files) return files.error();
  const result<verification> verified = verify(staging->path(), plan, how);
  if (!verified) return verified.error();
  const result<std::string> kept = staging->commit();
  if (!kept) return kept.error();
  run = std::move(*worked);

  std::string said = formatted("read back  %zu matrices with the same numbers, %zu tensors with the same bytes\n",
                               verified->matrices, verified->copies);
  said += "written    " + staging->target() + ": " + joined(files->written) + '\n';
  if (!files->left.empty()) said += "left out   " + joined(files->left) + '\n';
  if (!kept->empty()) said += "moved      what was there to " + *kept + '\n';
  return said;
}

status run(const options& chosen, const settings& how) {
  // A report that cannot be written should be known before the work.
  if (!chosen.report.empty()) {
    const result<io::atomic_file> trial = io::atomic_file::create(chosen.report);
    if (!trial) return trial.error();
  }
  const result<io::sharded_checkpoint> input = open_checkpoint(chosen.input);
  if (!input) return input.error();
  const result<std::string> model_config = read_model_config(*input);
  if (!model_config) return model_config.error();
  const result<std::vector<planned_tensor>> plan = make_plan(*input, chosen, how);
  if (!plan) return plan.error();

  run_report report;
  std::string said;
  if (how.dialect) {
    result<std::string> written = write_checkpoint(*plan, *input, *model_config, chosen, how, report);
    if (!written) return written.error();
    said = std::move(*written);
  } else {
    result<run_report> worked = work(*plan, chosen, how, nullptr);
    if (!worked) return worked.error();
    report = std::move(*worked);
  }
  if (!chosen.report.empty()) {
    if (status bad = io::write_file(chosen.report, json_text(report)); !bad.ok()) return bad;
    said += "report     " + chosen.report + '\n';
  }
  if (chosen.quiet) return {};
  const std::string text = table_text(report) + said;
  const bool printed     = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return printed ? status() : status(status_code::io_error, "cannot write to the standard output");
}

int fail(const status& bad, int exit_status) {
  std::fprintf(stderr, "quaver_checkpoint: %s\n", bad.message().c_str());
  return exit_status;
}

int main(int argc, char** argv) {
  const result<command_line> line = parse_command_line(argc, argv);
  if (!line) return fail(line.error(), 2);
  if (line->wanted == request::help) return std::fputs(help_text().c_str(), stdout) < 0 ? 1 : 0;
  if (line->wanted == request::version) {
    return std::printf("quaver_checkpoint %d.%d.%d\n", QUAVER_VERSION_MAJOR, QUAVER_VERSION_MINOR,
                       QUAVER_VERSION_PATCH) < 0;
  }
  const result<settings> how = settle(line->chosen.asked);
  if (!how) return fail(how.error(), 2);
  const status done = run(line->chosen, *how);
  return done.ok() ? 0 : fail(done, 1);
}

}  // namespace

}  // namespace checkpoint

int main(int argc, char** argv) {
  try {
    return checkpoint::main(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("quaver_checkpoint: out of memory\n", stderr);
    return 1;
  }
}
