#include "inc/statistics.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>

namespace ocrnet {

Summary Summarize(std::vector<double> values) {
  Summary summary;
  if (values.empty()) return summary;
  std::sort(values.begin(), values.end());
  const size_t count = values.size();
  summary.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(count);
  summary.median = (values[(count - 1) / 2] + values[count / 2]) / 2;
  summary.p95 = values[(count * 95 + 99) / 100 - 1];
  return summary;
}

std::string SummaryText(const std::vector<double>& seconds) {
  const Summary summary = Summarize(seconds);
  char text[96];
  std::snprintf(text, sizeof(text), "mean %.1f ms, median %.1f ms, p95 %.1f ms", summary.mean * 1e3,
                summary.median * 1e3, summary.p95 * 1e3);
  return text;
}

uint64_t PeakMemoryBytes() {
  // Not from rusage alone: its largest memory survives exec, so that it may be that of whoever started this process.
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.compare(0, 6, "VmHWM:") == 0)
      return std::strtoull(line.c_str() + 6, nullptr, 10) * 1024;  // "VmHWM:     1234 kB"
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace ocrnet
