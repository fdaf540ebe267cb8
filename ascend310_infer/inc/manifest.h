// The manifest beside a model file (src/deploy/manifest.py writes it) and the checks that need no SDK.
#ifndef OCRNET_INC_MANIFEST_H_
#define OCRNET_INC_MANIFEST_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "inc/processor.h"
#include "inc/status.h"
#include "inc/tensor.h"

namespace ocrnet {

// How a picture's pixels become the model's input.
struct InputSpec {
  TensorSpec tensor;              // (batch, 3, height, width); uint8 is normalised inside the model
  std::string color_order;        // "RGB" or "BGR"
  std::array<double, 3> mean{};   // of each channel in color_order, of values 0..1
  std::array<double, 3> std{};    // likewise
  bool is_batch_dynamic = false;  // the model takes any batch, and `tensor` says the one to take
  int64_t batch() const { return tensor.shape[0]; }
  int64_t height() const { return tensor.shape[2]; }
  int64_t width() const { return tensor.shape[3]; }
  size_t sample_bytes() const { return tensor.num_bytes() / static_cast<size_t>(batch()); }
};

// What the model gives.
struct OutputSpec {
  bool is_labels = false;  // labels (batch, height, width), otherwise logits (batch, K, height, width)
  TensorSpec tensor;
  bool align_corners = false;       // of the bilinear resizing of logits
  bool half_pixel_centers = false;  // likewise; has no meaning with align_corners
  size_t sample_bytes() const { return tensor.num_bytes() / static_cast<size_t>(tensor.shape[0]); }
};

using Color = std::array<uint8_t, 3>;  // red, green, blue

struct Manifest {
  std::string model_file;
  std::string sha256;
  std::string kind;                        // "native" or "lite2" (MindIR), "onnx", or "openvino"
  std::string weights_sha256;              // of the .bin beside an .xml of OpenVINO; empty of others
  Precision precision = Precision::kFp32;  // kInt8 of a quantised model
  InputSpec input;
  OutputSpec output;
  std::vector<std::string> class_names;
  std::vector<Color> palette;
  int ignore_label = 255;

  // Reads and checks a manifest.
  static Status Read(const std::string& path, Manifest* out);
};

// Returns the path of the manifest that belongs to a model file: the same name with .json.
std::string ManifestPath(const std::string& model_path);

// Returns the path of the weights that belong to an .xml of OpenVINO: the same name with .bin.
std::string WeightsPath(const std::string& model_path);

// Makes sure that a manifest is that of a model file and of the weights beside it, by their SHA-256.
Status CheckModelFile(const std::string& model_path, const std::string& manifest_path, const Manifest& manifest);

// Reads mind_ir_version from a MindIR file; 0 where the file has none (the first version wrote none).
Status ReadMindIrVersion(const std::string& path, int64_t* version);

// Refuses a MindIR of a newer version than a library reads.
// library: its name and version, for the message.
Status CheckMindIrVersion(const std::string& path, int64_t newest, const std::string& library);

// Reads "color_order", "mean" and "std"; mean and std are optional for uint8.
class Json;
Status ReadNormalization(const Json& json, InputSpec* out);
// Reads "float32" or "uint8".
Status ReadDType(const Json& json, const std::string& key, DType* out);

}  // namespace ocrnet

#endif  // OCRNET_INC_MANIFEST_H_
