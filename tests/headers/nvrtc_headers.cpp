// SPDX-License-Identifier: MIT
//
// Compiles the named headers, and each header of the named folders, with NVRTC, which has neither standard headers nor a
// host compiler behind it: for the oldest architecture we promise and for a newer one.

#include <nvrtc.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

namespace {

/// True where NVRTC takes the header without a word; NVRTC cannot turn warnings into errors itself.
bool compiles(const std::string& include_dir, const std::string& header, const char* architecture) {
  const std::string source  = "#define I hostile_macro_I\n#define B0 hostile_macro_B0\n#include <" + header + ">\n";
  const std::string path    = "--include-path=" + include_dir;
  const std::string target  = std::string("--gpu-architecture=") + architecture;
  const char* const flags[] = {path.c_str(), target.c_str(), "--std=c++20"};

  nvrtcProgram program = nullptr;
  if (nvrtcCreateProgram(&program, source.c_str(), "header.cu", 0, nullptr, nullptr) != NVRTC_SUCCESS) return false;
  const nvrtcResult outcome = nvrtcCompileProgram(program, static_cast<int>(std::size(flags)), flags);
  std::size_t size          = 0;
  nvrtcGetProgramLogSize(program, &size);
  std::string log(size, '\0');
  nvrtcGetProgramLog(program, log.data());
  nvrtcDestroyProgram(&program);

  const bool silent = size <= 1;  // the log ends with a zero byte
  if (outcome != NVRTC_SUCCESS || !silent) {
    std::printf("%s for %s: %s\n%s\n", header.c_str(), architecture, nvrtcGetErrorString(outcome), log.c_str());
  }
  return outcome == NVRTC_SUCCESS && silent;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: %s <include folder> <folder or header under quaver>...\n", arguments[0]);
    return 2;
  }
  const std::filesystem::path include_dir = arguments[1];
  std::vector<std::string> headers;
  for (int i = 2; i < count; ++i) {
    const std::filesystem::path named = include_dir / "quaver" / arguments[i];
    if (!std::filesystem::is_directory(named)) {
      headers.push_back(named.lexically_relative(include_dir).string());
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(named)) {
      const std::filesystem::path extension = entry.path().extension();
      if (extension != ".hpp" && extension != ".cuh") continue;
      headers.push_back(entry.path().lexically_relative(include_dir).string());
    }
  }
  std::sort(headers.begin(), headers.end());

  int failures = 0;
  for (const std::string& header : headers) {
    for (const char* architecture : {"sm_80", "sm_90"})
      failures += compiles(include_dir.string(), header, architecture) ? 0 : 1;
  }
  std::printf("%zu headers, %d failures\n", headers.size(), failures);
  return failures == 0 && !headers.empty() ? 0 : 1;
}
