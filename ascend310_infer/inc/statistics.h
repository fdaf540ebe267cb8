// Mean, median and 95th percentile of times, and this process's memory.
#ifndef OCRNET_INC_STATISTICS_H_
#define OCRNET_INC_STATISTICS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ocrnet {

struct Summary {
  double mean = 0;
  double median = 0;  // the mean of the two in the middle where their number is even
  double p95 = 0;     // the smallest value that at least 95 % of the values do not exceed
};

// Returns the summary of some values; zeros of none.
Summary Summarize(std::vector<double> values);

// Returns "mean 1.0 ms, median 1.0 ms, p95 1.0 ms" of seconds.
std::string SummaryText(const std::vector<double>& seconds);

// Returns the most memory that this process has held so far, in bytes.
uint64_t PeakMemoryBytes();

}  // namespace ocrnet

#endif  // OCRNET_INC_STATISTICS_H_
