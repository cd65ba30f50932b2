// SPDX-License-Identifier: MIT
#ifndef QUAVER_CPU_EXECUTOR_HPP
#define QUAVER_CPU_EXECUTOR_HPP

#include <quaver/base/bits.hpp>

QUAVER_BEGIN_NAMESPACE

namespace cpu {

/// The caller's threads, as bulk functions see them: there is no hidden pool. The default runs everything in the
/// calling thread. A thread pool is adapted in one function:
///
///     executor threads{.width = pool.size(), .self = &pool,
///                      .run = [](void* self, size_t count, executor::task task, void* data) {
///                        static_cast<my_pool*>(self)->for_each_index(count, [&](size_t i) { task(data, i); });
///                      }};
///
/// No result depends on `width` or on which thread runs what: every bulk function gives the same bytes with any
/// executor.
struct executor {
  /// Part `index` of some work. It does not throw, and sets and restores its thread's float environment itself.
  using task = void (*)(void* data, size_t index);
  /// Calls work(data, i) once for every i in [0, count), on any threads and in any order, and returns when all calls
  /// have; what they wrote is then visible to the caller. `self` is the executor's. Must not throw.
  using runner = void (*)(void* self, size_t count, task work, void* data);

  static void run_here(void* /*self*/, size_t count, task work, void* data) {
    for (size_t i = 0; i < count; ++i) work(data, i);
  }

  size_t width = 1;        ///< how many parts can run at a time; bulk functions cut their work by it (0 means 1)
  void* self   = nullptr;  ///< handed to `run`
  runner run   = run_here;

  /// Calls work(i) for every i in [0, count); with a single part, here and at once. `work` must outlive the call, which
  /// it does as an argument.
  template <class Work>
  void for_each(size_t count, const Work& work) const {
    if (count == 0) return;
    if (count == 1) return static_cast<void>(work(size_t{0}));
    const void* data = &work;
    run(self, count, [](void* erased, size_t i) { (*static_cast<const Work*>(erased))(i); }, const_cast<void*>(data));
  }
};

/// The part of [0, count) that falls to one of `parts`: they differ by one at most and follow one another.
struct part {
  int64_t begin;
  int64_t end;
};
constexpr part part_of(int64_t count, size_t parts, size_t index) noexcept {
  const auto n        = static_cast<int64_t>(parts);
  const auto i        = static_cast<int64_t>(index);
  const int64_t whole = count / n;
  const int64_t rest  = count % n;
  const int64_t begin = i * whole + (i < rest ? i : rest);
  return {begin, begin + whole + (i < rest ? 1 : 0)};
}
static_assert(part_of(7, 3, 0).end == 3 && part_of(7, 3, 1).begin == 3 && part_of(7, 3, 2).end == 7);

/// Calls work(begin, end) for parts of [0, count) that begin at multiples of 64: cache lines of any element, and whole
/// fours of random words.
template <class Work>
void for_each_part(size_t count, const executor& on, const Work& work) {
  const size_t lines = (count + 63) / 64;
  const size_t parts = on.width < lines ? on.width : lines;
  if (parts <= 1) return static_cast<void>(work(size_t{0}, count));
  on.for_each(parts, [&](size_t index) {
    const part lines_here = part_of(static_cast<int64_t>(lines), parts, index);
    const size_t end      = static_cast<size_t>(lines_here.end) * 64;
    work(static_cast<size_t>(lines_here.begin) * 64, end < count ? end : count);
  });
}

}  // namespace cpu

QUAVER_END_NAMESPACE

#endif
