// What runs a model: one small interface, behind which each library has one file.
#ifndef OCRNET_INC_ENGINE_H_
#define OCRNET_INC_ENGINE_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inc/processor.h"
#include "inc/status.h"
#include "inc/tensor.h"

namespace ocrnet {

struct EngineOptions {
  std::string backend;  // "lite" or "openvino"
  std::string model_path;
  std::string device_type;  // "CPU", "GPU" or "Ascend"
  int device_id = 0;
  int threads = 0;  // on the CPU; 0: as many as the library takes by itself
  Precision precision = Precision::kFp32;
  bool throughput = false;  // as many pictures per second as possible, rather than each as soon as possible
  int streams = 0;          // inferences at once for throughput; 0: as many as the library takes by itself
  TensorSpec input;         // what the model is to take; where its own sides are of any size they become these
};

// A loaded model with one input and one output of fixed shapes.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual TensorSpec input() const = 0;
  virtual TensorSpec output() const = 0;

  // Returns how many inferences can be under way at once.
  virtual size_t num_lanes() const { return 1; }
  // Returns the CPU threads of all lanes together; 0: unknown, or on another device.
  virtual int num_threads() const = 0;
  // Returns which of the library's kernels compute the convolutions, for the log; empty where it does not tell.
  virtual std::string Kernels() const { return ""; }

  // Runs the model. Each lane is used by one thread at a time.
  // input: input().num_bytes() bytes; output: room for output().num_bytes() bytes. Both are the caller's.
  virtual Status Run(size_t lane, const void* input, void* output) = 0;
};

// A library that loads models.
class Backend {
 public:
  virtual ~Backend() = default;
  // Returns name and version of the library, such as "MindSpore Lite 2.0.0".
  virtual std::string Version() const = 0;
  // Returns whether the library computes in bf16 on this device; asks the library, which takes a moment.
  virtual bool HasBf16(const EngineOptions& options) const = 0;
  // Finds out without loading the model whether this version of the library reads it.
  virtual Status CheckModel(const std::string& model_path) const = 0;
  virtual Status Load(const EngineOptions& options, std::unique_ptr<Engine>* out) const = 0;
};

// A back end of this build.
struct BackendSource {
  std::string name;  // of --backend
  // Loads its library, which takes a moment, and gives the back end, which lives as long as the source.
  std::function<Status(const Backend** out)> open;
};
using Backends = std::vector<BackendSource>;

// What the back ends say of their libraries' failures.

// Returns the model's path and the options that name the device.
std::string ModelOnDevice(const EngineOptions& options);

// Returns the error of a model that a library cannot load; advises on the device only where the cause lies there.
Status LoadingFailed(const EngineOptions& options, const std::string& library, const std::string& cause);

// Runs a step of a library; returns in one line why it failed, empty where it did not. The cause is what the library
// printed on stderr, which is held back, else the text that the step left, else that of its exception.
// step: returns false where it failed.
std::string CauseOfFailure(const std::function<bool(std::string* text)>& step);

// Runs a step of a library that throws where it fails; returns in one line why, empty where it did not. Unlike
// CauseOfFailure it may be called by several threads at once: stderr is left alone.
std::string CauseOfException(const std::function<void()>& step);

// Returns the line of an exception's text that says what is wrong, without the source lines that OpenVINO puts before
// it.
std::string CauseInText(const std::string& text);

}  // namespace ocrnet

#endif  // OCRNET_INC_ENGINE_H_
