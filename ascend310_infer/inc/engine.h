// What runs a model: one small interface, behind which each library has one file.
#ifndef OCRNET_INC_ENGINE_H_
#define OCRNET_INC_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "inc/status.h"
#include "inc/tensor.h"

namespace ocrnet {

struct EngineOptions {
  std::string model_path;
  std::string device_type;  // "CPU", "GPU" or "Ascend"
  int device_id = 0;
  int threads = 1;
};

// A loaded model with one input and one output of fixed shapes. Used by one thread at a time.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual TensorSpec input() const = 0;
  virtual TensorSpec output() const = 0;

  // Runs the model.
  // input: input().num_bytes() bytes; output: room for output().num_bytes() bytes. Both are the caller's.
  virtual Status Run(const void* input, void* output) = 0;
};

// A library that loads models.
class Backend {
 public:
  virtual ~Backend() = default;
  // Returns name and version, such as "MindSpore Lite 2.0.0".
  virtual std::string Version() const = 0;
  // Returns the newest mind_ir_version that the library reads.
  virtual int64_t MaxMindIrVersion() const = 0;
  virtual Status Load(const EngineOptions& options, std::unique_ptr<Engine>* out) const = 0;
};

// What the back ends say of their libraries' failures.

// Returns the model's path and the options that name the device.
std::string ModelOnDevice(const EngineOptions& options);

// Returns the error of a model that a library cannot load; advises on the device only where the cause lies there.
Status LoadingFailed(const EngineOptions& options, const std::string& library, const std::string& cause);

// Runs a step of a library; returns in one line why it failed, empty where it did not. The cause is what the library
// printed on stderr, which is held back, else the text that the step left, else that of its exception.
// step: returns false where it failed.
std::string CauseOfFailure(const std::function<bool(std::string* text)>& step);

}  // namespace ocrnet

#endif  // OCRNET_INC_ENGINE_H_
