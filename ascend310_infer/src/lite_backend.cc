// The only file that knows MindSpore Lite.
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "inc/backend_module.h"
#include "inc/engine.h"
#include "inc/manifest.h"
#include "include/api/context.h"
#include "include/api/model.h"
#include "include/api/types.h"

namespace ocrnet {
namespace {

namespace ms = mindspore;

std::string LiteVersion() {
  // The library says "MindSpore Lite 2.0.0", only the number, or nothing (the wheel's); the build knows the last one's.
  const std::string version = ms::Version();
  const size_t digit = version.find_first_of("0123456789");
  if (digit != std::string::npos) return version.substr(digit);
  const std::string built_with = OCRNET_LITE_VERSION;
  return built_with.empty() ? "of an unknown version" : built_with;
}

int NumThreads(const EngineOptions& options) {
  const unsigned cores = std::thread::hardware_concurrency();
  return options.threads != 0 ? options.threads : static_cast<int>(cores != 0 ? cores : 1);
}

std::shared_ptr<ms::Context> MakeContext(const EngineOptions& options) {
  auto context = std::make_shared<ms::Context>();
  auto& devices = context->MutableDeviceInfo();
  const uint32_t device_id = static_cast<uint32_t>(options.device_id);
  if (options.device_type == "GPU") {
    auto gpu = std::make_shared<ms::GPUDeviceInfo>();
    gpu->SetDeviceID(device_id);
    gpu->SetPrecisionMode("enforce_fp32");
    devices.push_back(gpu);
  } else if (options.device_type == "Ascend") {
    // Its precision stays the device's usual one: not every Ascend multiplies matrices in float32.
    auto ascend = std::make_shared<ms::AscendDeviceInfo>();
    ascend->SetDeviceID(device_id);
    devices.push_back(ascend);
  } else {
    context->SetThreadNum(NumThreads(options));
    auto cpu = std::make_shared<ms::CPUDeviceInfo>();
    cpu->SetEnableFP16(false);
    devices.push_back(cpu);
  }
  return context;
}

Status SpecOf(const ms::MSTensor& tensor, const std::string& model_path, TensorSpec* out) {
  if (tensor.DataType() == ms::DataType::kNumberTypeFloat32) {
    out->dtype = DType::kFloat32;
  } else if (tensor.DataType() == ms::DataType::kNumberTypeUInt8) {
    out->dtype = DType::kUint8;
  } else {
    return Status::UserError(model_path + ": its tensor " + tensor.Name() + " is of MindSpore's type " +
                             std::to_string(static_cast<int>(tensor.DataType())) + ", neither float32 nor uint8");
  }
  out->shape = tensor.Shape();
  return Status::Ok();
}

class LiteEngine : public Engine {
 public:
  Status Load(const EngineOptions& options) {
    std::vector<ms::MSTensor> outputs;
    const std::string cause = CauseOfFailure([&](std::string* text) {
      const ms::Status built = model_.Build(options.model_path, ms::ModelType::kMindIR, MakeContext(options));
      if (built != ms::kSuccess) return Failed(built, text);
      inputs_ = model_.GetInputs();
      outputs = model_.GetOutputs();
      return true;
    });
    if (!cause.empty()) return LoadingFailed(options, "MindSpore Lite " + LiteVersion(), cause);
    name_ = ModelOnDevice(options);
    num_threads_ = options.device_type == "CPU" ? NumThreads(options) : 0;
    if (inputs_.size() != 1 || outputs.size() != 1) {
      return Status::UserError(options.model_path + ": " + std::to_string(inputs_.size()) + " inputs and " +
                               std::to_string(outputs.size()) +
                               " outputs, expected one of each; export it by export.py");
    }
    OCRNET_RETURN_IF_ERROR(SpecOf(inputs_[0], options.model_path, &input_));
    return SpecOf(outputs[0], options.model_path, &output_);
  }

  TensorSpec input() const override { return input_; }
  TensorSpec output() const override { return output_; }
  int num_threads() const override { return num_threads_; }

  Status Run(size_t, const void* input, void* output) override {
    std::vector<ms::MSTensor> outputs;
    const std::string cause = CauseOfFailure([&](std::string* text) {
      inputs_[0].SetData(const_cast<void*>(input), false);  // only read
      const ms::Status run = model_.Predict(inputs_, &outputs);
      return run == ms::kSuccess || Failed(run, text);
    });
    if (!cause.empty()) return Status::WorkFailed(name_ + ": the inference failed: " + cause);
    if (outputs.size() != 1 || outputs[0].DataSize() != output_.num_bytes() || outputs[0].Data() == nullptr) {
      return Status::WorkFailed(name_ + ": the inference gave something else than " + output_.ToString());
    }
    std::memcpy(output, outputs[0].Data().get(), output_.num_bytes());
    return Status::Ok();
  }

 private:
  static bool Failed(const ms::Status& status, std::string* text) {
    *text = status.ToString();
    return false;
  }

  ms::Model model_;
  std::string name_;  // for messages
  int num_threads_ = 0;
  std::vector<ms::MSTensor> inputs_;
  TensorSpec input_;
  TensorSpec output_;
};

class LiteBackend : public Backend {
 public:
  std::string Version() const override { return "MindSpore Lite " + LiteVersion(); }
  bool HasBf16(const EngineOptions&) const override { return false; }

  Status CheckModel(const std::string& model_path) const override {
    return CheckMindIrVersion(model_path, LiteVersion().compare(0, 4, "2.0.") == 0 ? 1 : INT64_MAX, Version());
  }

  Status Load(const EngineOptions& options, std::unique_ptr<Engine>* out) const override {
    auto engine = std::make_unique<LiteEngine>();
    OCRNET_RETURN_IF_ERROR(engine->Load(options));
    *out = std::move(engine);
    return Status::Ok();
  }
};

}  // namespace
}  // namespace ocrnet

ocrnet::Backend* ocrnet_make_backend() { return new ocrnet::LiteBackend; }
