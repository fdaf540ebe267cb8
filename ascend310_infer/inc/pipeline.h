// Reading, inference and the making of results in threads that overlap.
#ifndef OCRNET_INC_PIPELINE_H_
#define OCRNET_INC_PIPELINE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "inc/status.h"

namespace ocrnet {

// Height and width of an answer, pixels.
struct AnswerSize {
  int64_t height = 0;
  int64_t width = 0;
};

// Each stage is called by one thread of its own, inference by one for each lane; a status that is not ok ends the run.
struct Stages {
  // Writes one sample of the input. With keep_going, a user error skips the sample.
  std::function<Status(size_t index, void* input_sample, AnswerSize* size)> read;
  // Runs a whole batch.
  std::function<Status(size_t lane, const void* input, void* output)> infer;
  // Takes one sample of the output.
  std::function<Status(size_t index, const void* output_sample, AnswerSize size)> write;
};

struct PipelineOptions {
  size_t num_samples = 0;
  size_t batch = 1;
  size_t num_lanes = 1;  // inferences at once
  size_t input_sample_bytes = 0;
  size_t output_sample_bytes = 0;
  bool keep_going = false;
};

struct Written {
  size_t index;
  AnswerSize size;
};

struct Skipped {
  size_t index;
  std::string reason;
};

struct PipelineReport {
  std::vector<Written> written;  // in the samples' order
  std::vector<Skipped> skipped;  // likewise
  std::vector<double> latency;   // seconds of each inference of a whole batch, however many run at once
  // Seconds per picture.
  std::vector<double> reading;
  std::vector<double> inference;  // of the inference that the picture was in, by the number of its pictures
  std::vector<double> writing;
  std::vector<double> finishing;  // from one batch's last result (or the start) to the next batch's
  double total = 0;               // seconds from the first reading to the last result
};

// Runs all samples, which are read in their order, and with several lanes written in the order in which they are done.
// The last batch is filled up with zeros. A fixed number of batches is under way, in memory that is used again and
// again. The first failure stops all threads and is returned; exceptions of the stages are failures.
Status RunPipeline(const PipelineOptions& options, const Stages& stages, PipelineReport* report);

}  // namespace ocrnet

#endif  // OCRNET_INC_PIPELINE_H_
