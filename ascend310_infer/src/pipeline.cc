#include "inc/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

#include "inc/bounded_queue.h"

namespace ocrnet {
namespace {

// One batch is read, one inferred, one written, and one waits, so that an unusually slow picture holds nobody up.
constexpr size_t kNumBatches = 4;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Runs a step whose exceptions (memory that runs out, above all) must not leave the thread.
template <typename Step>
Status Guarded(const Step& step) {
  try {
    return step();
  } catch (const std::bad_alloc&) {
    return Status::WorkFailed("out of memory");
  } catch (const std::exception& error) {
    return Status::WorkFailed(error.what());
  }
}

struct Batch {
  std::vector<uint8_t> input;
  std::vector<uint8_t> output;
  std::vector<Written> samples;  // those in the batch, in order
};

class Pipeline {
 public:
  Pipeline(const PipelineOptions& options, const Stages& stages, PipelineReport* report)
      : options_(options), stages_(stages), report_(report) {}

  Status Run() {
    const double start = Now();
    finished_ = start;
    const size_t num_batches = std::min(kNumBatches, (options_.num_samples + options_.batch - 1) / options_.batch);
    for (size_t i = 0; i < num_batches; ++i) {
      batches_.push_back(std::make_unique<Batch>());
      batches_.back()->input.resize(options_.batch * options_.input_sample_bytes);
      batches_.back()->output.resize(options_.batch * options_.output_sample_bytes);
      free_.Push(batches_.back().get());
    }
    std::thread reader([this] { Finish(Guarded([this] { return ReadAll(); }), &read_); });
    std::thread writer;
    try {
      writer = std::thread([this] { Finish(Guarded([this] { return WriteAll(); }), &free_); });
    } catch (const std::system_error& error) {
      Fail(Status::WorkFailed(error.what()));
    }
    Finish(Guarded([this] { return InferAll(); }), &inferred_);
    reader.join();
    if (writer.joinable()) writer.join();
    report_->total = Now() - start;
    return failure_;
  }

 private:
  Status ReadAll() {
    size_t next = 0;
    while (next < options_.num_samples) {
      Batch* batch;
      if (!free_.Pop(&batch)) return Status::Ok();
      OCRNET_RETURN_IF_ERROR(ReadBatch(&next, batch));
      if (!batch->samples.empty() && !read_.Push(batch)) return Status::Ok();
    }
    return Status::Ok();
  }

  Status ReadBatch(size_t* next, Batch* batch) {
    batch->samples.clear();
    for (; batch->samples.size() < options_.batch && *next < options_.num_samples; ++*next) {
      const double start = Now();
      AnswerSize size;
      const Status status = stages_.read(*next, Row(&batch->input, batch->samples.size()), &size);
      if (options_.keep_going && status.exit_code() == 2) {
        report_->skipped.push_back({*next, status.message()});
        continue;
      }
      OCRNET_RETURN_IF_ERROR(status);
      report_->reading.push_back(Now() - start);
      batch->samples.push_back({*next, size});
    }
    uint8_t* empty = Row(&batch->input, batch->samples.size());
    std::memset(empty, 0, static_cast<size_t>(batch->input.data() + batch->input.size() - empty));
    return Status::Ok();
  }

  Status InferAll() {
    Batch* batch;
    while (read_.Pop(&batch)) {
      const double start = Now();
      OCRNET_RETURN_IF_ERROR(stages_.infer(batch->input.data(), batch->output.data()));
      const double count = static_cast<double>(batch->samples.size());
      report_->inference.insert(report_->inference.end(), batch->samples.size(), (Now() - start) / count);
      if (!inferred_.Push(batch)) break;
    }
    return Status::Ok();
  }

  Status WriteAll() {
    Batch* batch;
    while (inferred_.Pop(&batch)) {
      for (size_t row = 0; row < batch->samples.size(); ++row) {
        const double start = Now();
        const Written& sample = batch->samples[row];
        const uint8_t* output = batch->output.data() + row * options_.output_sample_bytes;
        OCRNET_RETURN_IF_ERROR(stages_.write(sample.index, output, sample.size));
        report_->writing.push_back(Now() - start);
        report_->written.push_back(sample);
      }
      const double now = Now();
      const double count = static_cast<double>(batch->samples.size());
      report_->finishing.insert(report_->finishing.end(), batch->samples.size(), (now - finished_) / count);
      finished_ = now;
      if (!free_.Push(batch)) break;
    }
    return Status::Ok();
  }

  uint8_t* Row(std::vector<uint8_t>* input, size_t row) const {
    return input->data() + row * options_.input_sample_bytes;
  }

  // Ends a stage: the next one has nothing more to wait for, or, after a failure, nobody has.
  void Finish(const Status& status, BoundedQueue<Batch*>* outgoing) {
    if (status.ok()) {
      outgoing->Close();
    } else {
      Fail(status);
    }
  }

  void Fail(const Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok()) failure_ = status;
    for (BoundedQueue<Batch*>* queue : {&free_, &read_, &inferred_}) queue->Stop();
  }

  const PipelineOptions& options_;
  const Stages& stages_;
  // Each field of the report belongs to one thread, until all are joined.
  PipelineReport* report_;
  std::vector<std::unique_ptr<Batch>> batches_;
  BoundedQueue<Batch*> free_{kNumBatches};
  BoundedQueue<Batch*> read_{kNumBatches};
  BoundedQueue<Batch*> inferred_{kNumBatches};
  double finished_ = 0;
  std::mutex mutex_;
  Status failure_;
};

}  // namespace

Status RunPipeline(const PipelineOptions& options, const Stages& stages, PipelineReport* report) {
  *report = PipelineReport();
  return Guarded([&] { return Pipeline(options, stages, report).Run(); });
}

}  // namespace ocrnet
