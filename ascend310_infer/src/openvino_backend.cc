// The only file that knows OpenVINO.
#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "inc/backend_choice.h"
#include "inc/backend_module.h"
#include "inc/engine.h"
#include "openvino/runtime/core.hpp"
#include "openvino/runtime/properties.hpp"

namespace ocrnet {
namespace {

// Returns "2026.4.1" of "2026.4.1-22100-abc-releases/2026/4".
std::string OpenvinoVersion() {
  const std::string build = ov::get_openvino_version().buildNumber;
  return build.substr(0, build.find('-'));
}

std::string LibraryText() { return "OpenVINO " + OpenvinoVersion(); }

std::string DeviceName(const EngineOptions& options) {
  return options.device_type == "CPU" ? "CPU" : options.device_type + "." + std::to_string(options.device_id);
}

bool ListsBf16(const ov::Core& core, const EngineOptions& options) {
  const auto capabilities = core.get_property(DeviceName(options), ov::device::capabilities);
  return std::count(capabilities.begin(), capabilities.end(), ov::device::capability::BF16) != 0;
}

// The type of what is not quantised: never left to the library, which takes bf16 without being asked where it can.
ov::element::Type InferencePrecision(const ov::Core& core, const EngineOptions& options) {
  const bool is_bf16 =
      options.precision == Precision::kBf16 || (options.precision == Precision::kInt8 && options.device_type == "CPU" &&
                                                Processor::Here().HasBf16() && ListsBf16(core, options));
  return is_bf16 ? ov::element::bf16 : ov::element::f32;
}

ov::AnyMap Configuration(const ov::Core& core, const EngineOptions& options) {
  ov::AnyMap configuration = {
      ov::hint::performance_mode(options.throughput ? ov::hint::PerformanceMode::THROUGHPUT
                                                    : ov::hint::PerformanceMode::LATENCY),
      ov::hint::inference_precision(InferencePrecision(core, options)),
  };
  if (!options.throughput) configuration.insert(ov::num_streams(1));
  if (options.throughput && options.streams != 0) configuration.insert(ov::num_streams(options.streams));
  if (options.device_type == "CPU" && options.threads != 0) {
    configuration.insert(ov::inference_num_threads(options.threads));
  }
  return configuration;
}

Status SpecOf(const ov::Output<const ov::Node>& port, const std::string& model_path, TensorSpec* out) {
  if (port.get_element_type() == ov::element::f32) {
    out->dtype = DType::kFloat32;
  } else if (port.get_element_type() == ov::element::u8) {
    out->dtype = DType::kUint8;
  } else {
    return Status::UserError(model_path + ": a tensor of type " + port.get_element_type().get_type_name() +
                             ", neither float32 nor uint8; export it by export.py");
  }
  if (port.get_partial_shape().is_dynamic()) {
    return Status::UserError(model_path + ": a tensor of shape " + port.get_partial_shape().to_string() +
                             ", which the input's does not settle; export it by export.py");
  }
  out->shape.assign(port.get_shape().begin(), port.get_shape().end());
  return Status::Ok();
}

class OpenvinoEngine : public Engine {
 public:
  Status Load(const EngineOptions& options) {
    name_ = ModelOnDevice(options);
    std::shared_ptr<ov::Model> model;
    size_t num_inputs = 0;
    size_t num_outputs = 0;
    const std::string cause = CauseOfFailure([&](std::string*) {
      model = core_.read_model(options.model_path);
      num_inputs = model->inputs().size();
      num_outputs = model->outputs().size();
      if (num_inputs != 1 || num_outputs != 1) return true;
      if (model->is_dynamic()) Reshape(options, model.get());
      compiled_ = core_.compile_model(model, DeviceName(options), Configuration(core_, options));
      const size_t num_lanes =
          options.throughput ? compiled_.get_property(ov::optimal_number_of_infer_requests) : size_t{1};
      for (size_t lane = 0; lane < num_lanes; ++lane) requests_.push_back(compiled_.create_infer_request());
      if (options.device_type == "CPU") num_threads_ = compiled_.get_property(ov::inference_num_threads);
      return true;
    });
    if (!cause.empty()) return LoadingFailed(options, LibraryText(), cause);
    if (num_inputs != 1 || num_outputs != 1) {
      return Status::UserError(options.model_path + ": " + std::to_string(num_inputs) + " inputs and " +
                               std::to_string(num_outputs) + " outputs, expected one of each; export it by export.py");
    }
    OCRNET_RETURN_IF_ERROR(SpecOf(compiled_.input(), options.model_path, &input_));
    return SpecOf(compiled_.output(), options.model_path, &output_);
  }

  TensorSpec input() const override { return input_; }
  TensorSpec output() const override { return output_; }
  size_t num_lanes() const override { return requests_.size(); }
  int num_threads() const override { return num_threads_; }

  std::string Kernels() const override {
    std::map<std::string, int> counts;
    const std::string cause = CauseOfException([&] {
      for (const auto& node : compiled_.get_runtime_model()->get_ops()) {
        const ov::RTMap& info = node->get_rt_info();
        const auto type = info.find("layerType");
        const auto kernel = info.find("primitiveType");
        if (type == info.end() || kernel == info.end() || type->second.as<std::string>() != "Convolution") continue;
        ++counts[kernel->second.as<std::string>()];
      }
    });
    std::string text;
    for (const auto& [kernel, count] : counts) {
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " by " + kernel;
    }
    return text;
  }

  Status Run(size_t lane, const void* input, void* output) override {
    const std::string cause = CauseOfException([&] {
      // The caller's memory itself: nothing is copied.
      requests_[lane].set_input_tensor(
          ov::Tensor(compiled_.input().get_element_type(), compiled_.input().get_shape(), const_cast<void*>(input)));
      requests_[lane].set_output_tensor(
          ov::Tensor(compiled_.output().get_element_type(), compiled_.output().get_shape(), output));
      requests_[lane].infer();
    });
    return cause.empty() ? Status::Ok() : Status::WorkFailed(name_ + ": the inference failed: " + cause);
  }

 private:
  // Gives the sides of any size those of the manifest; the others must fit, which CheckEngine tells better.
  static void Reshape(const EngineOptions& options, ov::Model* model) {
    ov::PartialShape shape = model->input().get_partial_shape();
    if (shape.rank().is_dynamic() || shape.size() != options.input.shape.size()) return;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (shape[i].is_dynamic()) shape[i] = options.input.shape[i];
    }
    model->reshape(shape);
  }

  ov::Core core_;
  ov::CompiledModel compiled_;
  std::vector<ov::InferRequest> requests_;  // of each lane
  std::string name_;                        // for messages
  int num_threads_ = 0;
  TensorSpec input_;
  TensorSpec output_;
};

class OpenvinoBackend : public Backend {
 public:
  std::string Version() const override { return LibraryText(); }

  bool HasBf16(const EngineOptions& options) const override {
    bool has = false;
    const std::string cause = CauseOfFailure([&](std::string*) {
      has = ListsBf16(ov::Core(), options);
      return true;
    });
    return has || !cause.empty();  // a device that is not there: loading tells why
  }

  Status CheckModel(const std::string&) const override {
    return CheckLibraryVersion("OpenVINO", OpenvinoVersion(), OCRNET_OPENVINO_OLDEST);
  }

  Status Load(const EngineOptions& options, std::unique_ptr<Engine>* out) const override {
    std::unique_ptr<OpenvinoEngine> engine;
    const std::string cause = CauseOfException([&] { engine = std::make_unique<OpenvinoEngine>(); });
    if (!cause.empty()) return LoadingFailed(options, LibraryText(), cause);
    OCRNET_RETURN_IF_ERROR(engine->Load(options));
    *out = std::move(engine);
    return Status::Ok();
  }
};

}  // namespace
}  // namespace ocrnet

ocrnet::Backend* ocrnet_make_backend() { return new ocrnet::OpenvinoBackend; }
