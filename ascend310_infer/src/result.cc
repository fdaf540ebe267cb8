#include "inc/result.h"

#include <sstream>

#include "inc/json.h"

namespace ocrnet {
namespace {

std::string OutputJson(const OutputSpec& output, ResultKind kind) {
  std::ostringstream json;
  const bool is_logits = kind == ResultKind::kLogits;
  json << "{\"kind\": " << (is_logits ? "\"logits\"" : "\"labels\"")
       << ", \"dtype\": " << (is_logits ? "\"float32\"" : "\"uint8\"");
  if (is_logits) {
    const std::vector<int64_t>& shape = output.tensor.shape;
    json << ", \"shape\": [" << shape[1] << ", " << shape[2] << ", " << shape[3] << "]";
  }
  json << std::boolalpha << ", \"align_corners\": " << output.align_corners
       << ", \"half_pixel_centers\": " << output.half_pixel_centers << "}";
  return json.str();
}

}  // namespace

std::string ResultFile(const std::string& name, ResultKind kind) {
  return name + (kind == ResultKind::kMasks ? ".png" : ".bin");
}

std::string ResultJson(const Manifest& manifest, const Dataset& dataset, const PipelineReport& report,
                       ResultKind kind) {
  std::ostringstream json;
  json << "{\"format\": 1,\n \"model\": {\"file\": " << JsonQuoted(manifest.model_file)
       << ", \"sha256\": " << JsonQuoted(manifest.sha256) << "},\n \"output\": " << OutputJson(manifest.output, kind)
       << ",\n \"num_classes\": " << manifest.class_names.size() << ",\n \"samples\": [";
  const char* separator = "\n  ";
  for (const Written& sample : report.written) {
    const std::string& name = dataset.samples[sample.index].name;
    json << separator << "{\"name\": " << JsonQuoted(name) << ", \"file\": " << JsonQuoted(ResultFile(name, kind))
         << ", \"height\": " << sample.size.height << ", \"width\": " << sample.size.width << "}";
    separator = ",\n  ";
  }
  json << "],\n \"skipped\": [";
  separator = "\n  ";
  for (const Skipped& sample : report.skipped) {
    json << separator << "{\"name\": " << JsonQuoted(dataset.samples[sample.index].name)
         << ", \"reason\": " << JsonQuoted(sample.reason) << "}";
    separator = ",\n  ";
  }
  json << "]}\n";
  return json.str();
}

}  // namespace ocrnet
