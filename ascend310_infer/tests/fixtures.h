// A small model's manifest, as text that tests change, and the golden values.
#ifndef OCRNET_TESTS_FIXTURES_H_
#define OCRNET_TESTS_FIXTURES_H_

#include <string>
#include <vector>

#include "inc/files.h"
#include "inc/json.h"
#include "tests/check.h"

namespace ocrnet_test {

// What every MindIR begins with as far as the runner looks: mind_ir_version (field 13) is 1.
inline const std::string kModelBytes("\x68\x01", 2);

// Returns a text with the first occurrence of a part replaced; a part that is not there is a mistake of the test.
inline std::string Replaced(std::string text, const std::string& part, const std::string& by) {
  const size_t at = text.find(part);
  if (at == std::string::npos) {
    Fail(__FILE__, __LINE__, "no \"" + part + "\" to replace");
    return text;
  }
  return text.replace(at, part.size(), by);
}

// Returns a manifest for input (batch, 3, 16, 20) BGR and logits (batch, 4, 4, 5), as of the golden picture.
inline std::string ManifestText(const std::string& sha256, int batch = 1) {
  const std::string n = std::to_string(batch);
  return R"({"format": 1, "model": {"file": "m.mindir", "sha256": ")" + sha256 + R"(", "kind": "lite2"},
 "input": {"shape": [)" +
         n + R"(, 3, 16, 20], "dtype": "float32", "color_order": "BGR",
  "mean": [0.406, 0.456, 0.485], "std": [0.225, 0.224, 0.229], "layout": "NCHW"},
 "output": {"kind": "logits", "shape": [)" +
         n + R"(, 4, 4, 5], "dtype": "float32", "align_corners": true, "half_pixel_centers": false},
 "classes": {"names": ["road", "wall", "sky", "car"], "palette": [[1, 2, 3], [128, 64, 0], [0, 0, 255], [9, 9, 9]],
  "ignore_label": 255}, "versions": {}, "checkpoint": {}, "config": {}})";
}

// Writes the model file m.mindir and m.json with its hash and returns the model's path.
inline std::string WriteModel(int batch = 1, const std::string& bytes = kModelBytes) {
  const std::string path = TestFile("m.mindir", bytes);
  std::string sha256;
  CHECK_OK(ocrnet::FileSha256(path, &sha256));
  TestFile("m.json", ManifestText(sha256, batch));
  return path;
}

// Returns an index for that model, of samples as given.
inline std::string IndexText(const std::string& samples) {
  return R"({"format": 1, "input": {"shape": [3, 16, 20], "dtype": "float32", "color_order": "BGR",
 "mean": [0.406, 0.456, 0.485], "std": [0.225, 0.224, 0.229]}, "num_classes": 4, "class_names": ["a", "b", "c", "d"],
 "ignore_label": 255, "samples": [)" +
         samples + "]}";
}

// Returns an index entry of a sample whose answer has the golden picture's size.
inline std::string SampleText(const std::string& name) {
  return R"({"name": ")" + name + R"(", "input": "inputs/)" + name +
         R"(.bin", "label": "", "height": 17, "width": 23})";
}

inline ocrnet::Json ReadGolden() {
  ocrnet::Json golden;
  CHECK_OK(ocrnet::Json::Parse(Content(OCRNET_GOLDEN "/golden.json"), &golden));
  return golden;
}

inline std::vector<float> GoldenFloats(const ocrnet::Json& golden, const std::string& key) {
  std::vector<double> values;
  CHECK_OK(golden.Get(key, &values));
  return std::vector<float>(values.begin(), values.end());
}

}  // namespace ocrnet_test

#endif  // OCRNET_TESTS_FIXTURES_H_
