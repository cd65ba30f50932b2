// SPDX-License-Identifier: MIT
#ifndef QUAVER_TESTS_CPU_THREADS_HPP
#define QUAVER_TESTS_CPU_THREADS_HPP

// Executors for tests: real threads, and none but in the wrong order.

#include <quaver/cpu/executor.hpp>

#include <atomic>
#include <thread>
#include <vector>

namespace quaver_test {

/// `width` threads made anew for every call; they take parts as they come.
inline quaver::cpu::executor threads(size_t width) {
  using quaver::cpu::executor;
  executor e;
  e.width = width;
  e.self  = reinterpret_cast<void*>(width);
  e.run   = [](void* self, size_t count, executor::task work, void* data) {
    std::atomic<size_t> next{0};
    std::vector<std::thread> all;
    for (size_t t = 0; t < reinterpret_cast<size_t>(self); ++t) {
      all.emplace_back([&] {
        for (size_t i = next++; i < count; i = next++) work(data, i);
      });
    }
    for (std::thread& thread : all) thread.join();
  };
  return e;
}

/// One thread that says it is `width` and runs the last part first.
inline quaver::cpu::executor backwards(size_t width) {
  using quaver::cpu::executor;
  executor e;
  e.width = width;
  e.run   = [](void*, size_t count, executor::task work, void* data) {
    while (count != 0) work(data, --count);
  };
  return e;
}

}  // namespace quaver_test

#endif
