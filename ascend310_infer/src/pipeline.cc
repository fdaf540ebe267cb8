#include "inc/pipeline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#include "inc/bounded_queue.h"

namespace ocrnet {
namespace {

// Beside those that are inferred, one batch is read, one written, and one waits, so that an unusually slow picture
// holds nobody up.
constexpr size_t kNumOtherBatches = 3;

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

struct Inference {
  double seconds;
  size_t num_samples;  // of the batch, without what it was filled up with
};

class Pipeline {
 public:
  Pipeline(const PipelineOptions& options, const Stages& stages, PipelineReport* report)
      : options_(options),
        stages_(stages),
        report_(report),
        lanes_(options.num_lanes),
        free_(options.num_lanes + kNumOtherBatches),
        read_(options.num_lanes + kNumOtherBatches),
        inferred_(options.num_lanes + kNumOtherBatches) {}

  Status Run() {
    const double start = Now();
    finished_ = start;
    const size_t num_batches =
        std::min(options_.num_lanes + kNumOtherBatches, (options_.num_samples + options_.batch - 1) / options_.batch);
    for (size_t i = 0; i < num_batches; ++i) {
      batches_.push_back(std::make_unique<Batch>());
      batches_.back()->input.resize(options_.batch * options_.input_sample_bytes);
      batches_.back()->output.resize(options_.batch * options_.output_sample_bytes);
      free_.Push(batches_.back().get());
    }
    num_inferring_ = lanes_.size();
    std::vector<std::thread> threads;
    try {
      threads.emplace_back([this] { Finish(Guarded([this] { return ReadAll(); }), &read_); });
      threads.emplace_back([this] { Finish(Guarded([this] { return WriteAll(); }), &free_); });
      for (size_t lane = 1; lane < lanes_.size(); ++lane) threads.emplace_back([this, lane] { Infer(lane); });
    } catch (const std::exception& error) {
      Fail(Status::WorkFailed(error.what()));
    }
    Infer(0);
    for (std::thread& thread : threads) thread.join();
    report_->total = Now() - start;
    Collect();
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

  // Does a lane's part; the last lane to end closes what they all fill.
  void Infer(size_t lane) {
    const Status status = Guarded([this, lane] { return InferAll(lane); });
    if (!status.ok()) Fail(status);
    if (--num_inferring_ == 0) inferred_.Close();
  }

  Status InferAll(size_t lane) {
    Batch* batch;
    while (read_.Pop(&batch)) {
      const double start = Now();
      OCRNET_RETURN_IF_ERROR(stages_.infer(lane, batch->input.data(), batch->output.data()));
      lanes_[lane].push_back({Now() - start, batch->samples.size()});
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

  // Puts together what the lanes noted, and back in order what they finished out of it.
  void Collect() {
    for (const std::vector<Inference>& lane : lanes_) {
      for (const Inference& one : lane) {
        report_->latency.push_back(one.seconds);
        report_->inference.insert(report_->inference.end(), one.num_samples,
                                  one.seconds / static_cast<double>(one.num_samples));
      }
    }
    std::sort(report_->written.begin(), report_->written.end(),
              [](const Written& a, const Written& b) { return a.index < b.index; });
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
  std::vector<std::vector<Inference>> lanes_;  // what each lane did
  std::atomic<size_t> num_inferring_{0};
  std::vector<std::unique_ptr<Batch>> batches_;
  BoundedQueue<Batch*> free_;
  BoundedQueue<Batch*> read_;
  BoundedQueue<Batch*> inferred_;
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
