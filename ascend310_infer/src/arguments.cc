#include "inc/arguments.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace ocrnet {
namespace {

constexpr int kMaxNumber = 1 << 16;

struct Option {
  const char* name;
  std::string Options::* text;
  const char* choices;  // of the text, as messages say them: "a, b or c"; nullptr: any text
  int Options::* number;
  int smallest;  // of the number
  bool Options::* flag;
};

constexpr Option Text(const char* name, std::string Options::* text) {
  return {name, text, nullptr, nullptr, 0, nullptr};
}
constexpr Option Choice(const char* name, std::string Options::* text, const char* choices) {
  return {name, text, choices, nullptr, 0, nullptr};
}
constexpr Option Number(const char* name, int Options::* number, int smallest) {
  return {name, nullptr, nullptr, number, smallest, nullptr};
}
constexpr Option Flag(const char* name, bool Options::* flag) { return {name, nullptr, nullptr, nullptr, 0, flag}; }

constexpr Option kOptions[] = {
    Text("--mindir_path", &Options::model_path),
    Text("--model_path", &Options::model_path),
    Text("--dataset_path", &Options::dataset_path),
    Text("--manifest", &Options::manifest),
    Choice("--backend", &Options::backend, "lite or openvino"),
    Choice("--precision", &Options::precision, "fp32, bf16 or int8"),
    Choice("--device_type", &Options::device_type, "CPU, GPU or Ascend"),
    Number("--device_id", &Options::device_id, 0),
    Text("--result_path", &Options::result_path),
    Choice("--mode", &Options::mode, "latency or throughput"),
    Number("--streams", &Options::streams, 1),
    Number("--threads", &Options::threads, 1),
    Number("--batch", &Options::batch, 1),
    Choice("--outputs", &Options::outputs, "labels or logits"),
    Flag("--keep_going", &Options::keep_going),
    Flag("--help", &Options::help),
    Flag("--version", &Options::version),
};

// Returns how many letters must be changed, added or left out to get from one word to the other.
size_t Distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

Status Unknown(const std::string& name) {
  const Option* nearest = &kOptions[0];
  for (const Option& option : kOptions) {
    if (Distance(name, option.name) < Distance(name, nearest->name)) nearest = &option;
  }
  return Status::UserError(name + ": unknown option; did you mean " + nearest->name + "? --help lists them all");
}

Status ParseNumber(const Option& option, const std::string& value, int* out) {
  const bool is_number = !value.empty() && value.size() <= 6 &&
                         std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  const int number = is_number ? std::atoi(value.c_str()) : -1;
  if (number < option.smallest || number > kMaxNumber) {
    return Status::UserError(std::string(option.name) + " " + value + ": expected a whole number from " +
                             std::to_string(option.smallest) + " to " + std::to_string(kMaxNumber));
  }
  *out = number;
  return Status::Ok();
}

bool IsAmong(const std::string& choices, const std::string& value) {
  std::istringstream words(choices);
  for (std::string word; words >> word;) {
    if (word.back() == ',') word.pop_back();
    if (word == value && word != "or") return true;
  }
  return false;
}

Status SetValue(const Option& option, const std::string& value, Options* out) {
  if (option.number != nullptr) return ParseNumber(option, value, &(out->*option.number));
  if (option.choices != nullptr && !IsAmong(option.choices, value)) {
    return Status::UserError(std::string(option.name) + " " + value + ": expected " + option.choices);
  }
  if (value.empty()) return Status::UserError(std::string(option.name) + ": its value is empty");
  out->*option.text = value;
  return Status::Ok();
}

Status CheckOptions(const Options& options) {
  if (options.model_path.empty()) return Status::UserError("--mindir_path is missing: the model that export.py wrote");
  if (options.dataset_path.empty()) {
    return Status::UserError("--dataset_path is missing: preprocess.py's folder, a folder of pictures, or a picture");
  }
  return Status::Ok();
}

}  // namespace

Status ParseArguments(const std::vector<std::string>& arguments, Options* out) {
  *out = Options();
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string name = arguments[i].substr(0, equals);
    const Option* option = std::find_if(std::begin(kOptions), std::end(kOptions),
                                        [&name](const Option& candidate) { return name == candidate.name; });
    if (name.compare(0, 2, "--") != 0) {
      return Status::UserError(name + ": not an option; values follow their option, --help lists them");
    }
    if (option == std::end(kOptions)) return Unknown(name);
    const bool has_value = equals != std::string::npos;
    if (option->flag != nullptr) {
      if (has_value) return Status::UserError(name + " takes no value");
      out->*option->flag = true;
      continue;
    }
    if (!has_value && (i + 1 == arguments.size() || arguments[i + 1].compare(0, 2, "--") == 0)) {
      return Status::UserError(name + ": its value is missing");
    }
    OCRNET_RETURN_IF_ERROR(SetValue(*option, has_value ? arguments[i].substr(equals + 1) : arguments[++i], out));
  }
  return out->help || out->version ? Status::Ok() : CheckOptions(*out);
}

std::string HelpText() {
  return R"(Run an exported model of OCRNet and write labels, logits or palette masks.

Usage: main --mindir_path MODEL --dataset_path DATA [OPTION ...]

  --mindir_path MODEL    model file that export.py wrote: MindIR, ONNX (.onnx) or OpenVINO's (.xml); the same: --model_path
  --dataset_path DATA    folder of preprocess.py (binaries), folder of PNG and JPEG pictures, or one picture
  --manifest FILE        manifest of the model (default: MODEL with .json)
  --backend NAME         lite (MindSpore Lite) or openvino (default: lite for MindIR, openvino for the others)
  --precision NAME       fp32, bf16 (OpenVINO, where the processor has it) or int8 (a quantised model)
                         (default: int8 for a quantised model, fp32 for others)
  --device_type DEVICE   CPU, GPU or Ascend (default: CPU)
  --device_id N          which GPU or Ascend device (default: 0)
  --result_path FOLDER   where results go (default: result_Files)
  --mode MODE            latency: one inference at a time, each as fast as can be; throughput: several at once
                         (default: latency)
  --streams N            how many inferences at once in throughput mode (default: the library's choice)
  --threads N            threads of the inference on CPU (default: the library's choice, for lite the number of cores)
  --batch N              the batch that the model is expected to have; where its manifest lists "batch" as dynamic, the
                         batch to take
  --outputs WHAT         labels: at each picture's size; logits: as the model gives them (default: labels)
  --keep_going           skip inputs that cannot be read, list them at the end, and exit with 1
  --help, --version      print this, or the versions of the runner's libraries; both say what this machine computes with

Writes NAME.bin of each binary or NAME.png of each picture, and at last result.json. The log goes to stdout.
Exit status: 0 done, 1 the work failed or inputs were skipped, 2 something must be changed first.
)";
}

}  // namespace ocrnet
