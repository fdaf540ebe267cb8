#include "inc/manifest.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "inc/files.h"
#include "inc/json.h"

namespace ocrnet {
namespace {

constexpr uint64_t kMaxManifestBytes = 16 << 20;
constexpr int64_t kMaxSide = 1 << 20;
constexpr int64_t kMaxElements = int64_t{1} << 32;
constexpr size_t kMaxClasses = 256;  // labels are uint8

Status ReadShape(const Json& json, size_t num_sides, std::vector<int64_t>* out) {
  OCRNET_RETURN_IF_ERROR(json.Get("shape", out));
  bool fits = out->size() == num_sides;
  int64_t elements = 1;
  for (size_t i = 0; fits && i < out->size(); ++i) {
    const int64_t side = (*out)[i];
    fits = side >= 1 && side <= kMaxSide && elements <= kMaxElements / side;
    if (fits) elements *= side;
  }
  if (fits) return Status::Ok();
  return Status::UserError("\"shape\" is not a list of " + std::to_string(num_sides) + " sides from 1 to " +
                           std::to_string(kMaxSide));
}

Status ReadInput(const Json& json, InputSpec* out) {
  OCRNET_RETURN_IF_ERROR(ReadDType(json, "dtype", &out->tensor.dtype));
  OCRNET_RETURN_IF_ERROR(ReadShape(json, 4, &out->tensor.shape));
  if (out->tensor.shape[1] != 3) return Status::UserError("\"shape\" has not 3 channels");
  std::vector<std::string> dynamic;
  if (json.Find("dynamic") != nullptr) OCRNET_RETURN_IF_ERROR(json.Get("dynamic", &dynamic));
  out->is_batch_dynamic = std::find(dynamic.begin(), dynamic.end(), "batch") != dynamic.end();
  return ReadNormalization(json, out);
}

Status ReadOutput(const Json& json, OutputSpec* out) {
  std::string kind;
  OCRNET_RETURN_IF_ERROR(json.Get("kind", &kind));
  if (kind != "logits" && kind != "labels") {
    return Status::UserError("\"kind\" is \"" + kind + "\", expected \"logits\" or \"labels\"");
  }
  out->is_labels = kind == "labels";
  OCRNET_RETURN_IF_ERROR(ReadDType(json, "dtype", &out->tensor.dtype));
  if (out->tensor.dtype != (out->is_labels ? DType::kUint8 : DType::kFloat32)) {
    return Status::UserError("\"dtype\" of " + kind + " is " + DTypeName(out->tensor.dtype));
  }
  OCRNET_RETURN_IF_ERROR(ReadShape(json, out->is_labels ? 3 : 4, &out->tensor.shape));
  OCRNET_RETURN_IF_ERROR(json.Get("align_corners", &out->align_corners));
  return json.Get("half_pixel_centers", &out->half_pixel_centers);
}

Status ReadPalette(const Json& json, std::vector<Color>* out) {
  const Json* palette;
  OCRNET_RETURN_IF_ERROR(json.GetArray("palette", &palette));
  for (const Json& entry : palette->items()) {
    Color color{};
    bool fits = entry.items().size() == 3;
    for (size_t i = 0; fits && i < 3; ++i) {
      const double value = entry.items()[i].number();
      color[i] = static_cast<uint8_t>(value >= 0 && value <= 255 ? value : 0);
      fits = entry.items()[i].type() == Json::Type::kNumber && color[i] == value;
    }
    if (!fits) return Status::UserError("\"palette\" holds something that is not [red, green, blue] of 0 to 255");
    out->push_back(color);
  }
  return Status::Ok();
}

Status ReadClasses(const Json& json, Manifest* out) {
  OCRNET_RETURN_IF_ERROR(json.Get("names", &out->class_names));
  OCRNET_RETURN_IF_ERROR(ReadPalette(json, &out->palette));
  int64_t ignore_label;
  OCRNET_RETURN_IF_ERROR(json.Get("ignore_label", &ignore_label));
  if (ignore_label < 0 || ignore_label > 255) return Status::UserError("\"ignore_label\" is not from 0 to 255");
  out->ignore_label = static_cast<int>(ignore_label);
  if (out->class_names.empty() || out->class_names.size() > kMaxClasses) {
    return Status::UserError("\"names\" has not 1 to 256 classes");
  }
  if (out->palette.size() != out->class_names.size()) {
    return Status::UserError("\"palette\" has " + std::to_string(out->palette.size()) + " colours for " +
                             std::to_string(out->class_names.size()) + " names");
  }
  return Status::Ok();
}

Status ReadModel(const Json& json, Manifest* out) {
  OCRNET_RETURN_IF_ERROR(json.Get("file", &out->model_file));
  OCRNET_RETURN_IF_ERROR(json.Get("sha256", &out->sha256));
  OCRNET_RETURN_IF_ERROR(json.Get("kind", &out->kind));
  if (out->kind != "native" && out->kind != "lite2" && out->kind != "onnx" && out->kind != "openvino") {
    return Status::UserError("\"kind\" is \"" + out->kind + R"(", expected "native", "lite2", "onnx" or "openvino")");
  }
  std::string precision = "fp32";  // earlier manifests do not say it
  if (json.Find("precision") != nullptr) OCRNET_RETURN_IF_ERROR(json.Get("precision", &precision));
  if (precision != "fp32" && precision != "int8") {
    return Status::UserError("\"precision\" is \"" + precision + R"(", expected "fp32" or "int8")");
  }
  out->precision = precision == "int8" ? Precision::kInt8 : Precision::kFp32;
  if (out->kind != "openvino") return Status::Ok();
  const Json* weights;
  OCRNET_RETURN_IF_ERROR(json.GetObject("weights", &weights));
  return weights->Get("sha256", &out->weights_sha256).At("weights");
}

Status CheckAgreement(const Manifest& manifest) {
  const std::vector<int64_t>& in = manifest.input.tensor.shape;
  const std::vector<int64_t>& out = manifest.output.tensor.shape;
  const bool agree = manifest.output.is_labels
                         ? out == std::vector<int64_t>{in[0], in[2], in[3]}
                         : out[0] == in[0] && out[1] == static_cast<int64_t>(manifest.class_names.size());
  return agree ? Status::Ok() : Status::UserError("output's \"shape\" does not fit the input and the classes");
}

Status FromJson(const Json& json, Manifest* out) {
  int64_t format;
  OCRNET_RETURN_IF_ERROR(json.Get("format", &format));
  if (format != 1) return Status::UserError("\"format\" is " + std::to_string(format) + ", expected 1");
  const Json* part;
  OCRNET_RETURN_IF_ERROR(json.GetObject("model", &part));
  OCRNET_RETURN_IF_ERROR(ReadModel(*part, out).At("model"));
  OCRNET_RETURN_IF_ERROR(json.GetObject("input", &part));
  OCRNET_RETURN_IF_ERROR(ReadInput(*part, &out->input).At("input"));
  OCRNET_RETURN_IF_ERROR(json.GetObject("output", &part));
  OCRNET_RETURN_IF_ERROR(ReadOutput(*part, &out->output).At("output"));
  OCRNET_RETURN_IF_ERROR(json.GetObject("classes", &part));
  OCRNET_RETURN_IF_ERROR(ReadClasses(*part, out).At("classes"));
  return CheckAgreement(*out);
}

// Reads a protobuf varint; false at the file's end or where it is too long.
bool ReadVarint(std::FILE* file, uint64_t* out) {
  *out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const int byte = std::fgetc(file);
    if (byte == EOF) return false;
    *out |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

Status ModelSha256(const std::string& path, std::string* sha256) {
  uint64_t size = 0;
  OCRNET_RETURN_IF_ERROR(FileSize(path, &size));
  if (size == 0) return Status::UserError(path + ": the model file is empty; export it anew");
  return FileSha256(path, sha256);
}

Status CheckSha256(const std::string& path, const std::string& found, const std::string& expected) {
  if (found == expected) return Status::Ok();
  return Status::UserError(path + ": SHA-256 " + found + ", but its manifest says " + expected +
                           ": the file is truncated, damaged or another one; copy or export it anew");
}

}  // namespace

Status ReadDType(const Json& json, const std::string& key, DType* out) {
  std::string name;
  OCRNET_RETURN_IF_ERROR(json.Get(key, &name));
  if (name != "float32" && name != "uint8") {
    return Status::UserError("\"" + key + "\" is \"" + name + "\", expected \"float32\" or \"uint8\"");
  }
  *out = name == "uint8" ? DType::kUint8 : DType::kFloat32;
  return Status::Ok();
}

Status ReadNormalization(const Json& json, InputSpec* out) {
  OCRNET_RETURN_IF_ERROR(json.Get("color_order", &out->color_order));
  if (out->color_order != "RGB" && out->color_order != "BGR") {
    return Status::UserError("\"color_order\" is \"" + out->color_order + "\", expected \"RGB\" or \"BGR\"");
  }
  if (out->tensor.dtype == DType::kUint8) return Status::Ok();
  std::vector<double> mean;
  std::vector<double> std;
  OCRNET_RETURN_IF_ERROR(json.Get("mean", &mean));
  OCRNET_RETURN_IF_ERROR(json.Get("std", &std));
  if (mean.size() != 3 || std.size() != 3) return Status::UserError("\"mean\" and \"std\" are not 3 numbers each");
  for (size_t i = 0; i < 3; ++i) {
    if (!(std[i] > 0)) return Status::UserError("\"std\" is not above 0");
    out->mean[i] = mean[i];
    out->std[i] = std[i];
  }
  return Status::Ok();
}

Status Manifest::Read(const std::string& path, Manifest* out) {
  std::string text;
  Status status = ReadTextFile(path, kMaxManifestBytes, &text);
  if (!status.ok()) {
    return Status::UserError(status.message() + "; a manifest is needed, export.py writes it beside the model");
  }
  Json json;
  *out = Manifest();
  status = Json::Parse(text, &json);
  if (status.ok()) status = FromJson(json, out);
  if (status.ok()) return status;
  return Status::UserError(path + ": not a manifest: " + status.message() + "; export the model anew");
}

std::string ManifestPath(const std::string& model_path) {
  return std::filesystem::path(model_path).replace_extension(".json").string();
}

std::string WeightsPath(const std::string& model_path) {
  return std::filesystem::path(model_path).replace_extension(".bin").string();
}

Status CheckModelFile(const std::string& model_path, const std::string& manifest_path, const Manifest& manifest) {
  std::string sha256;
  OCRNET_RETURN_IF_ERROR(ModelSha256(model_path, &sha256));
  const std::string name = std::filesystem::path(model_path).filename().string();
  if (sha256 != manifest.sha256 && name != manifest.model_file) {
    return Status::UserError(manifest_path + ": the manifest of " + manifest.model_file + ", not of " + name +
                             " (SHA-256 " + sha256 + "); give the one that was written with the model");
  }
  OCRNET_RETURN_IF_ERROR(CheckSha256(model_path, sha256, manifest.sha256));
  if (manifest.kind != "openvino") return Status::Ok();
  const std::string weights = WeightsPath(model_path);
  OCRNET_RETURN_IF_ERROR(ModelSha256(weights, &sha256));
  return CheckSha256(weights, sha256, manifest.weights_sha256);
}

Status ReadMindIrVersion(const std::string& path, int64_t* version) {
  constexpr uint64_t kVersionField = 13;
  const Status damaged = Status::UserError(path + ": not a MindIR file, or a truncated one; export it anew");
  uint64_t size = 0;
  OCRNET_RETURN_IF_ERROR(FileSize(path, &size));
  File file(std::fopen(path.c_str(), "rb"));
  if (!file) return Status::UserError(path + ": cannot be read");
  *version = 0;
  uint64_t tag;
  // The outermost fields only: everything large among them is a length and bytes to jump over.
  while (static_cast<uint64_t>(std::ftell(file.get())) < size) {
    uint64_t value;
    if (!ReadVarint(file.get(), &tag) || !ReadVarint(file.get(), &value)) return damaged;
    const uint64_t wire_type = tag & 7;
    if (wire_type == 0) {
      if (tag >> 3 == kVersionField) *version = static_cast<int64_t>(value);
    } else if (wire_type == 2) {
      const uint64_t at = static_cast<uint64_t>(std::ftell(file.get()));
      if (value > size - at || std::fseek(file.get(), static_cast<long>(value), SEEK_CUR) != 0) return damaged;
    } else {
      return damaged;
    }
  }
  return Status::Ok();
}

Status CheckMindIrVersion(const std::string& path, int64_t newest, const std::string& library) {
  int64_t version = 0;
  OCRNET_RETURN_IF_ERROR(ReadMindIrVersion(path, &version));
  if (version <= newest) return Status::Ok();
  return Status::UserError(path + ": a native MindIR (version " + std::to_string(version) + "), but " + library +
                           " reads versions up to " + std::to_string(newest) +
                           "; lower it: python -m src.deploy.lower IN OUT");
}

}  // namespace ocrnet
