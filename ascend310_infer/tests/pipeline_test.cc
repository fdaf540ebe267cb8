// The queue, the pipeline with stages that fail, skip and wait, and the statistics.
#include "inc/pipeline.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <new>
#include <numeric>
#include <set>
#include <thread>

#include "inc/bounded_queue.h"
#include "inc/statistics.h"
#include "tests/check.h"

using ocrnet::AnswerSize;
using ocrnet::PipelineOptions;
using ocrnet::PipelineReport;
using ocrnet::Stages;
using ocrnet::Status;

namespace {

constexpr auto kPatience = std::chrono::seconds(20);

PipelineOptions Options(size_t num_samples, size_t batch) {
  PipelineOptions options;
  options.num_samples = num_samples;
  options.batch = batch;
  options.input_sample_bytes = 1;
  options.output_sample_bytes = 1;
  return options;
}

// Stages that hand each sample's number + 1 through the "model", which doubles it; what arrives is noted.
struct Doubling {
  explicit Doubling(size_t batch) {
    stages.read = [](size_t index, void* sample, AnswerSize* size) {
      *static_cast<uint8_t*>(sample) = static_cast<uint8_t>(index + 1);
      *size = {static_cast<int64_t>(index), 1};
      return Status::Ok();
    };
    stages.infer = [batch](size_t, const void* input, void* output) {
      for (size_t i = 0; i < batch; ++i) {
        static_cast<uint8_t*>(output)[i] = static_cast<uint8_t>(2 * static_cast<const uint8_t*>(input)[i]);
      }
      return Status::Ok();
    };
    stages.write = [this](size_t index, const void* output, AnswerSize size) {
      const bool fits =
          *static_cast<const uint8_t*>(output) == 2 * (index + 1) && size.height == static_cast<int64_t>(index);
      arrived.push_back(fits ? static_cast<int>(index) : -1);
      return Status::Ok();
    };
  }
  Stages stages;
  std::vector<int> arrived;
};

std::vector<int> FirstNumbers(size_t count) {
  std::vector<int> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

}  // namespace

TEST(Queue, OrderAndEnd) {
  ocrnet::BoundedQueue<int> queue(2);
  CHECK_TRUE(queue.Push(1) && queue.Push(2));
  queue.Close();
  int item = 0;
  CHECK_TRUE(queue.Pop(&item) && item == 1);
  CHECK_TRUE(queue.Pop(&item) && item == 2);
  CHECK_TRUE(!queue.Pop(&item));
}

TEST(Queue, WaitsForRoom) {
  ocrnet::BoundedQueue<int> queue(1);
  CHECK_TRUE(queue.Push(1));
  std::future<bool> pushed = std::async(std::launch::async, [&queue] { return queue.Push(2); });
  CHECK_TRUE(pushed.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout);
  int item = 0;
  CHECK_TRUE(queue.Pop(&item) && item == 1);
  CHECK_TRUE(pushed.get());
}

TEST(Queue, StopTurnsEverybodyAway) {
  ocrnet::BoundedQueue<int> queue(1);
  CHECK_TRUE(queue.Push(1));
  std::future<bool> pushed = std::async(std::launch::async, [&queue] { return queue.Push(2); });
  queue.Stop();
  CHECK_TRUE(!pushed.get());
  int item = 0;
  CHECK_TRUE(!queue.Pop(&item));
}

TEST(Pipeline, OrderAndPartialBatch) {
  for (size_t batch : {size_t{1}, size_t{3}, size_t{100}}) {
    Doubling doubling(batch);
    PipelineReport report;
    CHECK_OK(ocrnet::RunPipeline(Options(50, batch), doubling.stages, &report));
    CHECK_TRUE(doubling.arrived == FirstNumbers(50));
    CHECK_EQUAL(report.written.size(), 50);
    for (const auto* seconds : {&report.reading, &report.inference, &report.writing, &report.finishing}) {
      CHECK_EQUAL(seconds->size(), 50);
    }
  }
}

TEST(Pipeline, TheLastBatchIsFilledUpWithZeros) {
  Doubling doubling(4);
  std::vector<uint8_t> last;
  doubling.stages.infer = [&last](size_t, const void* input, void*) {
    last.assign(static_cast<const uint8_t*>(input), static_cast<const uint8_t*>(input) + 4);
    return Status::Ok();
  };
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(Options(4 * 6 + 1, 4), doubling.stages, &report));
  CHECK_TRUE((last == std::vector<uint8_t>{25, 0, 0, 0}));
}

TEST(Pipeline, MemoryIsUsedAgain) {
  Doubling doubling(2);
  std::set<const void*> inputs;
  std::atomic<int> num_read{0};
  int furthest_ahead = 0;
  int num_written = 0;
  const auto read = doubling.stages.read;
  doubling.stages.read = [&](size_t index, void* sample, AnswerSize* size) {
    ++num_read;
    return read(index, sample, size);
  };
  doubling.stages.infer = [&inputs](size_t, const void* input, void*) {
    inputs.insert(input);
    return Status::Ok();
  };
  doubling.stages.write = [&](size_t, const void*, AnswerSize) {
    if (num_written < 20) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    furthest_ahead = std::max(furthest_ahead, num_read - num_written++);
    return Status::Ok();
  };
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(Options(200, 2), doubling.stages, &report));
  CHECK_TRUE(inputs.size() <= 4);
  CHECK_TRUE(furthest_ahead <= 4 * 2);
}

// Every lane waits until all of them infer: they run at once, and each in one thread at a time.
TEST(Pipeline, LanesInferAtOnce) {
  constexpr size_t kNumLanes = 3;
  Doubling doubling(2);
  std::array<std::promise<void>, kNumLanes> begun;
  std::array<std::atomic<int>, kNumLanes> num_inferring{};
  std::array<int, kNumLanes> num_inferred{};
  std::vector<std::shared_future<void>> others;
  for (auto& lane : begun) others.push_back(lane.get_future().share());
  std::atomic<bool> all_at_once{true};
  const auto infer = doubling.stages.infer;
  doubling.stages.infer = [&](size_t lane, const void* input, void* output) {
    if (++num_inferring[lane] != 1) all_at_once = false;
    if (num_inferred[lane]++ == 0) {
      begun[lane].set_value();
      for (const auto& other : others) {
        if (other.wait_for(kPatience) != std::future_status::ready) all_at_once = false;
      }
    }
    --num_inferring[lane];
    return infer(lane, input, output);
  };
  PipelineOptions options = Options(101, 2);
  options.num_lanes = kNumLanes;
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(options, doubling.stages, &report));
  CHECK_TRUE(all_at_once);
  std::sort(doubling.arrived.begin(), doubling.arrived.end());
  CHECK_TRUE(doubling.arrived == FirstNumbers(101));
  CHECK_EQUAL(report.latency.size(), 51);
  CHECK_EQUAL(report.inference.size(), 101);
}

// The first inference ends last: what the other lane did is written before, and reported behind it.
TEST(Pipeline, LanesFinishOutOfOrder) {
  Doubling doubling(1);
  std::promise<void> second_written;
  const auto infer = doubling.stages.infer;
  bool overtaken = true;
  doubling.stages.infer = [&](size_t lane, const void* input, void* output) {
    if (*static_cast<const uint8_t*>(input) == 1) {
      overtaken = second_written.get_future().wait_for(kPatience) == std::future_status::ready;
    }
    return infer(lane, input, output);
  };
  const auto write = doubling.stages.write;
  doubling.stages.write = [&](size_t index, const void* output, AnswerSize size) {
    if (index == 1) second_written.set_value();
    return write(index, output, size);
  };
  PipelineOptions options = Options(5, 1);
  options.num_lanes = 2;
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(options, doubling.stages, &report));
  CHECK_TRUE(overtaken && doubling.arrived[0] == 1);
  for (size_t i = 0; i < 5; ++i) CHECK_EQUAL(report.written[i].index, i);
}

// What one inference took is its latency, however many ran meanwhile; a picture's share is that by the batch.
TEST(Pipeline, LatencyIsNotDividedByLanes) {
  Doubling doubling(2);
  const auto infer = doubling.stages.infer;
  doubling.stages.infer = [&infer](size_t lane, const void* input, void* output) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return infer(lane, input, output);
  };
  PipelineOptions options = Options(8, 2);
  options.num_lanes = 4;
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(options, doubling.stages, &report));
  for (double seconds : report.latency) CHECK_TRUE(seconds >= 0.02);
  for (double seconds : report.inference) CHECK_TRUE(seconds >= 0.01);
}

TEST(Pipeline, AFailureInOneLaneStopsTheOthers) {
  for (int at : {0, 1, 7}) {
    Doubling doubling(1);
    std::atomic<int> num_inferred{0};
    doubling.stages.infer = [&num_inferred, at](size_t, const void*, void*) {
      return num_inferred++ == at ? Status::WorkFailed("lost") : Status::Ok();
    };
    PipelineOptions options = Options(100, 1);
    options.num_lanes = 3;
    PipelineReport report;
    CHECK_STATUS(ocrnet::RunPipeline(options, doubling.stages, &report), 1, "lost");
    CHECK_TRUE(num_inferred < 100);
  }
}

// While the first inference runs, the next sample is read; while the first result is written, the next inference runs.
TEST(Pipeline, StagesOverlap) {
  Doubling doubling(1);
  std::promise<void> second_read;
  std::promise<void> second_inferred;
  const auto read = doubling.stages.read;
  doubling.stages.read = [&](size_t index, void* sample, AnswerSize* size) {
    if (index == 1) second_read.set_value();
    return read(index, sample, size);
  };
  bool overlapped = true;
  int num_inferred = 0;
  doubling.stages.infer = [&](size_t, const void*, void*) {
    if (num_inferred == 0) overlapped = second_read.get_future().wait_for(kPatience) == std::future_status::ready;
    if (num_inferred++ == 1) second_inferred.set_value();
    return Status::Ok();
  };
  doubling.stages.write = [&](size_t index, const void*, AnswerSize) {
    if (index == 0) CHECK_TRUE(second_inferred.get_future().wait_for(kPatience) == std::future_status::ready);
    return Status::Ok();
  };
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(Options(3, 1), doubling.stages, &report));
  CHECK_TRUE(overlapped);
}

TEST(Pipeline, AFailureOfEachStageStopsAll) {
  for (size_t at : {size_t{0}, size_t{5}, size_t{99}}) {
    PipelineReport report;
    Doubling reading(1);
    reading.stages.read = [at](size_t index, void*, AnswerSize*) {
      return index == at ? Status::UserError("bad input") : Status::Ok();
    };
    reading.stages.write = [](size_t, const void*, AnswerSize) { return Status::Ok(); };
    CHECK_STATUS(ocrnet::RunPipeline(Options(100, 1), reading.stages, &report), 2, "bad input");
    Doubling inferring(1);
    size_t num_inferred = 0;
    inferring.stages.infer = [&num_inferred, at](size_t, const void*, void*) {
      return num_inferred++ == at ? Status::WorkFailed("bad model") : Status::Ok();
    };
    CHECK_STATUS(ocrnet::RunPipeline(Options(100, 1), inferring.stages, &report), 1, "bad model");
    Doubling writing(1);
    writing.stages.write = [at](size_t index, const void*, AnswerSize) {
      return index == at ? Status::UserError("full disk") : Status::Ok();
    };
    CHECK_STATUS(ocrnet::RunPipeline(Options(100, 1), writing.stages, &report), 2, "full disk");
  }
}

TEST(Pipeline, ExceptionsAreFailures) {
  PipelineReport report;
  Doubling reading(1);
  reading.stages.read = [](size_t, void*, AnswerSize*) -> Status { throw std::bad_alloc(); };
  CHECK_STATUS(ocrnet::RunPipeline(Options(9, 1), reading.stages, &report), 1, "out of memory");
  Doubling inferring(1);
  inferring.stages.infer = [](size_t, const void*, void*) -> Status { throw std::runtime_error("thrown"); };
  CHECK_STATUS(ocrnet::RunPipeline(Options(9, 1), inferring.stages, &report), 1, "thrown");
  Doubling writing(1);
  writing.stages.write = [](size_t, const void*, AnswerSize) -> Status { throw std::runtime_error("thrown"); };
  CHECK_STATUS(ocrnet::RunPipeline(Options(9, 1), writing.stages, &report), 1, "thrown");
}

TEST(Pipeline, KeepGoingSkipsWhatTheUserMustMend) {
  for (size_t batch : {size_t{1}, size_t{3}}) {
    Doubling doubling(batch);
    const auto read = doubling.stages.read;
    doubling.stages.read = [read](size_t index, void* sample, AnswerSize* size) {
      return index % 4 == 0 ? Status::UserError("bad " + std::to_string(index)) : read(index, sample, size);
    };
    PipelineOptions options = Options(9, batch);
    options.keep_going = true;
    PipelineReport report;
    CHECK_OK(ocrnet::RunPipeline(options, doubling.stages, &report));
    CHECK_TRUE((doubling.arrived == std::vector<int>{1, 2, 3, 5, 6, 7}));
    CHECK_EQUAL(report.skipped.size(), 3);
    CHECK_EQUAL(report.skipped[1].index, 4);
    CHECK_EQUAL(report.skipped[1].reason, "bad 4");
  }
}

TEST(Pipeline, KeepGoingDoesNotSkipFailedWork) {
  Doubling doubling(1);
  doubling.stages.read = [](size_t, void*, AnswerSize*) { return Status::WorkFailed("out of memory"); };
  PipelineOptions options = Options(9, 1);
  options.keep_going = true;
  PipelineReport report;
  CHECK_STATUS(ocrnet::RunPipeline(options, doubling.stages, &report), 1, "out of memory");
}

TEST(Pipeline, EverythingSkipped) {
  Doubling doubling(2);
  doubling.stages.read = [](size_t, void*, AnswerSize*) { return Status::UserError("bad"); };
  PipelineOptions options = Options(9, 2);
  options.keep_going = true;
  PipelineReport report;
  CHECK_OK(ocrnet::RunPipeline(options, doubling.stages, &report));
  CHECK_TRUE(report.written.empty() && report.skipped.size() == 9);
}

TEST(Statistics, ByHand) {
  std::vector<double> values(100);
  for (size_t i = 0; i < 100; ++i) values[i] = static_cast<double>(100 - i);  // 100 down to 1
  ocrnet::Summary summary = ocrnet::Summarize(values);
  CHECK_EQUAL(summary.mean, 50.5);
  CHECK_EQUAL(summary.median, 50.5);
  CHECK_EQUAL(summary.p95, 95.0);
  summary = ocrnet::Summarize({3, 1, 2});
  CHECK_TRUE(summary.mean == 2 && summary.median == 2 && summary.p95 == 3);
  summary = ocrnet::Summarize({});
  CHECK_TRUE(summary.mean == 0 && summary.median == 0 && summary.p95 == 0);
  CHECK_EQUAL(ocrnet::SummaryText({0.001, 0.003}), "mean 2.0 ms, median 2.0 ms, p95 3.0 ms");
}

TEST(Statistics, PeakMemoryGrows) {
  const uint64_t before = ocrnet::PeakMemoryBytes();
  CHECK_TRUE(before > 1 << 20);
  const std::vector<char> large(64 << 20, 1);
  CHECK_TRUE(ocrnet::PeakMemoryBytes() >= before + (32 << 20) || large.empty());
}

// What the kernel notes of a process at exec is the memory of whoever started it.
TEST(Statistics, PeakMemoryIsNotTheLaunchers) {
  const std::vector<char> large(512 << 20, 1);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::FILE* child = popen(("exec '" + self + "' --peak_memory").c_str(), "r");
  unsigned long long peak = 0;
  CHECK_TRUE(child != nullptr && std::fscanf(child, "%llu", &peak) == 1 && pclose(child) == 0);
  CHECK_TRUE(peak > 1 << 20 && peak < large.size() / 2);
}
