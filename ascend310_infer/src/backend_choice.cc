#include "inc/backend_choice.h"

#include <cstdio>
#include <utility>

namespace ocrnet {
namespace {

// A back end that a build may have.
struct KnownBackend {
  const char* name;  // of --backend
  const char* library;
  bool reads_mindir;  // the kinds "native" and "lite2", otherwise "onnx" and "openvino"
  const char* home;   // what build.sh looks for it by
  const char* fetch;  // script
};

constexpr KnownBackend kLite = {"lite", "MindSpore Lite", true, "MS_LITE_HOME", "scripts/fetch_mindspore_lite.sh"};
constexpr KnownBackend kOpenvino = {"openvino", "OpenVINO", false, "OPENVINO_HOME", "scripts/fetch_openvino.sh"};

bool IsMindir(const Manifest& manifest) { return manifest.kind == "native" || manifest.kind == "lite2"; }

Status CheckKind(const KnownBackend& chosen, const Manifest& manifest) {
  if (IsMindir(manifest) == chosen.reads_mindir) return Status::Ok();
  const std::string what = "--backend " + std::string(chosen.name) + ": " + manifest.model_file + " is of kind " +
                           manifest.kind + ", and " + chosen.library + " ";
  if (chosen.reads_mindir) {
    return Status::UserError(what + "takes MindIR here; leave --backend out, or export it with --file_format MINDIR");
  }
  return Status::UserError(what + "reads no MindIR; export it with --file_format ONNX, or convert a native one: " +
                           "python -m src.deploy.to_onnx IN OUT");
}

Status CheckDevice(const KnownBackend& chosen, const Options& options) {
  if (chosen.reads_mindir || options.device_type != "Ascend") return Status::Ok();
  return Status::UserError(
      "--device_type Ascend: OpenVINO knows CPU and GPU alone; take one of them, or a MindIR with "
      "--backend lite");
}

Status CheckMode(const KnownBackend& chosen, const Options& options) {
  const bool is_throughput = options.mode == "throughput";
  if (chosen.reads_mindir && (is_throughput || options.streams > 1)) {
    return Status::UserError(
        (is_throughput ? std::string("--mode throughput") : "--streams " + std::to_string(options.streams)) +
        ": MindSpore Lite runs one inference at a time; leave it out, or take a model for "
        "--backend openvino");
  }
  if (!is_throughput && options.streams > 1) {
    return Status::UserError("--streams " + std::to_string(options.streams) +
                             ": with --mode latency one inference runs at a time; add --mode throughput");
  }
  return Status::Ok();
}

Status CheckQuantization(Precision precision, const Manifest& manifest) {
  const bool is_int8 = precision == Precision::kInt8;
  if (is_int8 == (manifest.precision == Precision::kInt8)) return Status::Ok();
  const std::string what = "--precision " + std::string(PrecisionName(precision)) + ": " + manifest.model_file;
  if (is_int8) {
    return Status::UserError(what + " is not quantised; quantise it: python -m src.deploy.quantize MODEL --data_path " +
                             "DATA");
  }
  return Status::UserError(what + " is quantised to int8; take --precision int8, or the model that it was made from");
}

Status CheckBf16(const Backend& backend, const EngineOptions& engine, const Processor& processor) {
  if (engine.precision != Precision::kBf16 || backend.HasBf16(engine)) return Status::Ok();
  const std::string device = engine.device_type == "CPU"
                                 ? "this processor (" + processor.name() +
                                       ") has neither AMX nor AVX-512, and OpenVINO does not compute in bf16 on it"
                                 : "OpenVINO does not compute in it on --device_type " + engine.device_type;
  return Status::UserError("--precision bf16: " + device +
                           "; take --precision fp32, or int8 with a quantised model (python -m src.deploy.quantize)");
}

Status OpenBackend(const KnownBackend& chosen, const Backends& backends, const Backend** out) {
  std::string others;
  for (const BackendSource& source : backends) {
    if (source.name == chosen.name) return source.open(out);
    others += (others.empty() ? "" : " and ") + source.name;
  }
  return Status::UserError("--backend " + std::string(chosen.name) + ": this build has " + others +
                           " alone; build it with " + chosen.library + ": " + chosen.home + "=\"$(bash " +
                           chosen.fetch + ")\" bash ascend310_infer/src/build.sh");
}

// Returns what a back end computes in on this machine.
std::string Description(const KnownBackend& known, const Backend& backend, const Processor& processor) {
  std::string text = "--backend " + std::string(known.name) + ": " + backend.Version();
  if (known.reads_mindir) return text + ", for MindIR; fp32\n";
  text += ", for ONNX and OpenVINO's own files; on this processor (" + processor.name() + "):\n";
  EngineOptions cpu;
  cpu.backend = known.name;
  cpu.device_type = "CPU";
  for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kInt8}) {
    cpu.precision = precision;
    const bool has = precision != Precision::kBf16 || backend.HasBf16(cpu);
    text += "  " + (has ? PrecisionText(cpu, processor) : "no bf16, for which it has neither AMX nor AVX-512") + "\n";
  }
  return text;
}

Precision ChosenPrecision(const Options& options, const Manifest& manifest) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kInt8}) {
    if (options.precision == PrecisionName(precision)) return precision;
  }
  return manifest.precision;
}

}  // namespace

Status ChooseBackend(const Options& options, const Manifest& manifest, const Backends& backends,
                     const Processor& processor, const Backend** backend, EngineOptions* engine) {
  const bool is_lite = options.backend.empty() ? IsMindir(manifest) : options.backend == kLite.name;
  const KnownBackend& chosen = is_lite ? kLite : kOpenvino;
  *engine = EngineOptions();
  engine->backend = chosen.name;
  engine->model_path = options.model_path;
  engine->device_type = options.device_type;
  engine->device_id = options.device_id;
  engine->threads = options.threads;
  engine->precision = ChosenPrecision(options, manifest);
  engine->throughput = options.mode == "throughput";
  engine->streams = options.streams;
  engine->input = manifest.input.tensor;
  OCRNET_RETURN_IF_ERROR(CheckKind(chosen, manifest));
  OCRNET_RETURN_IF_ERROR(CheckDevice(chosen, options));
  OCRNET_RETURN_IF_ERROR(CheckMode(chosen, options));
  if (is_lite && engine->precision != Precision::kFp32) {
    return Status::UserError("--precision " + std::string(PrecisionName(engine->precision)) +
                             ": MindSpore Lite computes in fp32 here; take --precision fp32, or a model for --backend "
                             "openvino (export.py --file_format ONNX)");
  }
  OCRNET_RETURN_IF_ERROR(CheckQuantization(engine->precision, manifest));
  OCRNET_RETURN_IF_ERROR(OpenBackend(chosen, backends, backend));
  return CheckBf16(**backend, *engine, processor);
}

Status DescribeBackends(const Backends& backends, const std::string& name, const Processor& processor,
                        std::string* out) {
  out->clear();
  if (!name.empty()) {
    const KnownBackend& chosen = name == kLite.name ? kLite : kOpenvino;
    const Backend* backend = nullptr;
    OCRNET_RETURN_IF_ERROR(OpenBackend(chosen, backends, &backend));
    *out = Description(chosen, *backend, processor);
    return Status::Ok();
  }
  for (const BackendSource& source : backends) {
    std::string text;
    const Status status = DescribeBackends(backends, source.name, processor, &text);
    *out += status.ok() ? text : status.message() + "\n";
  }
  return Status::Ok();
}

Status CheckLibraryVersion(const std::string& library, const std::string& found, const std::string& oldest) {
  const auto numbers = [](const std::string& version) {
    int major = 0;
    int minor = 0;
    std::sscanf(version.c_str(), "%d.%d", &major, &minor);
    return std::make_pair(major, minor);
  };
  if (numbers(found) >= numbers(oldest)) return Status::Ok();
  return Status::UserError(library + " " + found + " is too old: expected " + oldest +
                           " or later; scripts/fetch_openvino.sh gets one");
}

std::string NamesText(const Backends& backends) {
  std::string text;
  for (const BackendSource& source : backends) text += (text.empty() ? "" : ", ") + source.name;
  return text;
}

std::string PrecisionText(const EngineOptions& engine, const Processor& processor) {
  const std::string name = PrecisionName(engine.precision);
  const std::string instructions = processor.Instructions(engine.precision);
  const bool is_told = engine.backend == kOpenvino.name && engine.device_type == "CPU" && !instructions.empty();
  if (!is_told) return name;
  std::string text = name + ", with " + instructions;
  if (engine.precision == Precision::kInt8) {
    text += std::string("; layers that are not quantised in ") + (processor.HasBf16() ? "bf16" : "fp32");
  }
  return text;
}

}  // namespace ocrnet
