// What the pipeline's reading and writing stages do with a sample.
#ifndef OCRNET_INC_STAGES_H_
#define OCRNET_INC_STAGES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "inc/engine.h"
#include "inc/index.h"
#include "inc/labels.h"
#include "inc/manifest.h"
#include "inc/picture.h"
#include "inc/pipeline.h"
#include "inc/preprocess.h"
#include "inc/result.h"
#include "inc/status.h"

namespace ocrnet {

// Everything that is settled before the model is loaded.
struct Job {
  Manifest manifest;
  Dataset dataset;
  ResultKind kind = ResultKind::kLabels;
  EngineOptions engine;
};

// Reads binaries as they are, and pictures through the preprocessing.
class SampleReader {
 public:
  // The job must outlive the reader.
  explicit SampleReader(const Job& job) : job_(job), preprocessor_(job.manifest.input) {}

  // Writes one sample of the model's input and tells the size of its answer.
  Status Read(size_t index, void* sample, AnswerSize* size);

 private:
  const Job& job_;
  PictureReader pictures_;
  Picture picture_;
  Preprocessor preprocessor_;
};

// Writes logits as they are, or labels at the answer's size as binaries or masks.
class ResultWriter {
 public:
  // The job must outlive the writer.
  ResultWriter(const Job& job, const std::string& folder)
      : job_(job), folder_(folder), label_maker_(job.manifest.output) {}

  // Writes the result of one sample of the model's output.
  Status Write(size_t index, const void* output, AnswerSize size);

 private:
  const Job& job_;
  const std::string folder_;
  LabelMaker label_maker_;
  std::vector<uint8_t> labels_;
  std::vector<uint8_t> png_;
};

}  // namespace ocrnet

#endif  // OCRNET_INC_STAGES_H_
