#include "inc/runner.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>

#include "inc/backend_choice.h"
#include "inc/files.h"
#include "inc/index.h"
#include "inc/manifest.h"
#include "inc/mask_png.h"
#include "inc/pipeline.h"
#include "inc/processor.h"
#include "inc/result.h"
#include "inc/result_folder.h"
#include "inc/stages.h"
#include "inc/statistics.h"

namespace ocrnet {
namespace {

constexpr auto kProgressInterval = std::chrono::seconds(30);

void Log(const std::string& name, const std::string& value) { std::printf("%s: %s\n", name.c_str(), value.c_str()); }

std::string Formatted(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

Status CheckOutputs(const Options& options, const Manifest& manifest) {
  if (options.outputs != "logits" || !manifest.output.is_labels) return Status::Ok();
  return Status::UserError("--outputs logits: " + manifest.model_file +
                           " gives labels; export it with --outputs logits");
}

// Makes the batch that of the options, if the model has it or takes any.
Status SetBatch(const Options& options, Manifest* manifest) {
  const int64_t batch = manifest->input.batch();
  if (options.batch == 0 || options.batch == batch) return Status::Ok();
  if (!manifest->input.is_batch_dynamic) {
    return Status::UserError("--batch " + std::to_string(options.batch) + ": " + manifest->model_file +
                             " was exported with --batch " + std::to_string(batch));
  }
  manifest->input.tensor.shape[0] = options.batch;
  manifest->output.tensor.shape[0] = options.batch;
  return Status::Ok();
}

Status CheckPng(const Options& options) {
  if (HavePng()) return Status::Ok();
  return Status::UserError(options.dataset_path + ": pictures, but this runner was built without libpng (install " +
                           "libpng-dev and build again); binaries of preprocess.py work");
}

Status Prepare(const Options& options, const Backends& backends, const Processor& processor, const Backend** backend,
               Job* job) {
  const std::string manifest_path = options.manifest.empty() ? ManifestPath(options.model_path) : options.manifest;
  uint64_t size = 0;
  if (!FileSize(options.model_path, &size).ok()) {
    return Status::UserError(options.model_path + ": no such model file; export.py writes it");
  }
  OCRNET_RETURN_IF_ERROR(Manifest::Read(manifest_path, &job->manifest));
  OCRNET_RETURN_IF_ERROR(CheckOutputs(options, job->manifest));
  OCRNET_RETURN_IF_ERROR(SetBatch(options, &job->manifest));
  OCRNET_RETURN_IF_ERROR(ChooseBackend(options, job->manifest, backends, processor, backend, &job->engine));
  OCRNET_RETURN_IF_ERROR(CheckModelFile(options.model_path, manifest_path, job->manifest));
  OCRNET_RETURN_IF_ERROR((*backend)->CheckModel(options.model_path));
  OCRNET_RETURN_IF_ERROR(OpenDataset(options.dataset_path, job->manifest, !options.keep_going, &job->dataset));
  if (!job->dataset.is_binary) OCRNET_RETURN_IF_ERROR(CheckPng(options));
  job->kind = options.outputs == "logits" ? ResultKind::kLogits
              : job->dataset.is_binary    ? ResultKind::kLabels
                                          : ResultKind::kMasks;
  std::vector<std::string> read = {options.model_path, manifest_path, JoinPath(options.dataset_path, "index.json")};
  if (job->manifest.kind == "openvino") read.push_back(WeightsPath(options.model_path));
  return CheckResultFolder(options.result_path, options.dataset_path, read, *job);
}

Status CheckEngine(const Engine& engine, const Manifest& manifest) {
  if (engine.input() != manifest.input.tensor) {
    return Status::UserError(manifest.model_file + ": takes " + engine.input().ToString() + ", but its manifest says " +
                             manifest.input.tensor.ToString() + "; export the model anew");
  }
  if (engine.output() != manifest.output.tensor) {
    return Status::UserError(manifest.model_file + ": gives " + engine.output().ToString() +
                             ", but its manifest says " + manifest.output.tensor.ToString() +
                             "; export the model anew");
  }
  return Status::Ok();
}

// Says now and then how far a long run has come.
class Progress {
 public:
  explicit Progress(size_t num_samples) : num_samples_(num_samples) {}

  void Add() {
    ++num_done_;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kProgressInterval || num_done_ == num_samples_) return;
    last_ = now;
    Log("progress", std::to_string(num_done_) + " of " + std::to_string(num_samples_));
    std::fflush(stdout);
  }

 private:
  const size_t num_samples_;
  size_t num_done_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void LogStart(const Options& options, const Job& job, const Backends& backends, const Backend& backend) {
  const Manifest& manifest = job.manifest;
  Log("model", job.engine.model_path + " (" + manifest.kind + ", SHA-256 " + manifest.sha256 + ")");
  Log("input", manifest.input.tensor.ToString() + ", " + manifest.input.color_order);
  Log("output", std::string(manifest.output.is_labels ? "labels " : "logits ") + manifest.output.tensor.ToString());
  Log("backend", job.engine.backend);
  Log("back ends of this build", NamesText(backends));
  Log("library", backend.Version());
  Log("data", options.dataset_path + ", " + std::to_string(job.dataset.samples.size()) +
                  (job.dataset.is_binary ? " binaries" : " pictures"));
  std::fflush(stdout);
}

// Logs what is known once the library has the model.
void LogEngine(const Job& job, const Engine& engine, const Processor& processor) {
  const EngineOptions& options = job.engine;
  Log("device", options.device_type == "CPU"
                    ? "CPU, " + std::to_string(engine.num_threads()) + " threads, " + processor.name()
                    : options.device_type + " " + std::to_string(options.device_id));
  const std::string kernels = engine.Kernels();
  Log("precision", PrecisionText(options, processor) + (kernels.empty() ? "" : "; convolutions: " + kernels));
  Log("mode", std::string(options.throughput ? "throughput, " : "latency, ") + std::to_string(engine.num_lanes()) +
                  " at once, batches of " + std::to_string(job.manifest.input.batch()));
  std::fflush(stdout);
}

void LogEnd(const Options& options, const Job& job, const PipelineReport& report, double load_seconds,
            size_t num_lanes) {
  const size_t count = report.written.size();
  for (const Skipped& sample : report.skipped) Log("skipped", sample.reason);
  Log("results",
      std::to_string(count) + " in " + options.result_path + ", " + std::to_string(report.skipped.size()) + " skipped");
  Log("loading the model", Formatted("%.1f s", load_seconds));
  Log("time of one inference", SummaryText(report.latency));
  Log("time per picture, inference", SummaryText(report.inference));
  Log("time per picture, pictures to results", SummaryText(report.finishing));
  Log("time per picture, reading", SummaryText(report.reading));
  Log("time per picture, writing", SummaryText(report.writing));
  Log("throughput", Formatted("%.3f pictures/s", report.total > 0 ? static_cast<double>(count) / report.total : 0) +
                        Formatted(" (%.3f s in all, batches of ", report.total) +
                        std::to_string(job.manifest.input.batch()) + ", " + std::to_string(num_lanes) + " at once)");
  Log("peak memory", Formatted("%.1f MiB", static_cast<double>(PeakMemoryBytes()) / (1 << 20)));
  std::fflush(stdout);
}

Status RunJob(const Options& options, const Job& job, Engine* engine, PipelineReport* report) {
  SampleReader reader(job);
  ResultWriter writer(job, options.result_path);
  Progress progress(job.dataset.samples.size());
  Stages stages;
  stages.read = [&reader](size_t index, void* sample, AnswerSize* size) { return reader.Read(index, sample, size); };
  stages.infer = [engine](size_t lane, const void* input, void* output) { return engine->Run(lane, input, output); };
  stages.write = [&writer, &progress](size_t index, const void* output, AnswerSize size) {
    progress.Add();
    return writer.Write(index, output, size);
  };
  PipelineOptions pipeline;
  pipeline.num_samples = job.dataset.samples.size();
  pipeline.batch = static_cast<size_t>(job.manifest.input.batch());
  pipeline.num_lanes = engine->num_lanes();
  pipeline.input_sample_bytes = job.manifest.input.sample_bytes();
  pipeline.output_sample_bytes = job.manifest.output.sample_bytes();
  pipeline.keep_going = options.keep_going;
  return RunPipeline(pipeline, stages, report);
}

}  // namespace

Status Run(const Options& options, const Backends& backends, const Processor& processor) {
  Job job;
  const Backend* backend = nullptr;
  OCRNET_RETURN_IF_ERROR(Prepare(options, backends, processor, &backend, &job));
  LogStart(options, job, backends, *backend);
  std::unique_ptr<Engine> engine;
  const auto start = std::chrono::steady_clock::now();
  OCRNET_RETURN_IF_ERROR(backend->Load(job.engine, &engine));
  const double load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  OCRNET_RETURN_IF_ERROR(CheckEngine(*engine, job.manifest));
  LogEngine(job, *engine, processor);
  FileLock lock;
  OCRNET_RETURN_IF_ERROR(OpenResults(options.result_path, &lock));  // an earlier result stays until it can be replaced
  PipelineReport report;
  OCRNET_RETURN_IF_ERROR(RunJob(options, job, engine.get(), &report));
  OCRNET_RETURN_IF_ERROR(CloseResults(options.result_path, ResultJson(job.manifest, job.dataset, report, job.kind)));
  LogEnd(options, job, report, load_seconds, engine->num_lanes());
  if (report.skipped.empty()) return Status::Ok();
  return Status::WorkFailed(std::to_string(report.skipped.size()) + " of " +
                            std::to_string(job.dataset.samples.size()) + " inputs were skipped, " +
                            JoinPath(options.result_path, "result.json") +
                            " lists them; the first: " + report.skipped[0].reason);
}

int Main(const std::vector<std::string>& arguments, const Backends& backends) {
  Status status;
  try {
    Options options;
    status = ParseArguments(arguments, &options);
    if (status.ok() && (options.help || options.version)) {
      std::string text;
      status = DescribeBackends(backends, options.backend, Processor::Here(), &text);
      if (status.ok()) std::printf("%s\n%s", options.help ? HelpText().c_str() : "OCRNet runner", text.c_str());
    } else if (status.ok()) {
      status = Run(options, backends, Processor::Here());
    }
  } catch (const std::exception& error) {
    status = Status::WorkFailed(error.what());
  }
  const bool is_logged = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (status.ok() && !is_logged) status = Status::WorkFailed("the log cannot be written to stdout; free some space");
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return status.exit_code();
}

}  // namespace ocrnet
