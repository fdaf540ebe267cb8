#include "inc/arguments.h"

#include <algorithm>
#include <cstdlib>

namespace ocrnet {
namespace {

constexpr int kMaxNumber = 1 << 16;

struct Option {
  const char* name;
  std::string Options::* text;
  int Options::* number;
  int smallest;  // of the number
  bool Options::* flag;
};

constexpr Option Text(const char* name, std::string Options::* text) { return {name, text, nullptr, 0, nullptr}; }
constexpr Option Number(const char* name, int Options::* number, int smallest) {
  return {name, nullptr, number, smallest, nullptr};
}
constexpr Option Flag(const char* name, bool Options::* flag) { return {name, nullptr, nullptr, 0, flag}; }

constexpr Option kOptions[] = {
    Text("--mindir_path", &Options::mindir_path),
    Text("--dataset_path", &Options::dataset_path),
    Text("--manifest", &Options::manifest),
    Text("--device_type", &Options::device_type),
    Number("--device_id", &Options::device_id, 0),
    Text("--result_path", &Options::result_path),
    Number("--threads", &Options::threads, 1),
    Number("--batch", &Options::batch, 1),
    {"--outputs", nullptr, nullptr, 0, nullptr},
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

Status SetValue(const Option& option, const std::string& value, Options* out) {
  if (option.text != nullptr) {
    if (value.empty()) return Status::UserError(std::string(option.name) + ": its value is empty");
    out->*option.text = value;
    return Status::Ok();
  }
  if (option.number != nullptr) return ParseNumber(option, value, &(out->*option.number));
  if (value != "labels" && value != "logits") {
    return Status::UserError("--outputs " + value + ": expected labels or logits");
  }
  out->logits = value == "logits";
  return Status::Ok();
}

Status CheckOptions(const Options& options) {
  if (options.mindir_path.empty()) return Status::UserError("--mindir_path is missing: the model that export.py wrote");
  if (options.dataset_path.empty()) {
    return Status::UserError("--dataset_path is missing: preprocess.py's folder, a folder of pictures, or a picture");
  }
  const std::string& device = options.device_type;
  if (device == "CPU" || device == "GPU" || device == "Ascend") return Status::Ok();
  return Status::UserError("--device_type " + device + ": expected CPU, GPU or Ascend");
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
  return "Run a MindIR of OCRNet and write labels, logits or palette masks.\n"
         "\n"
         "Usage: main --mindir_path MODEL --dataset_path DATA [OPTION ...]\n"
         "\n"
         "  --mindir_path MODEL    model file that export.py wrote\n"
         "  --dataset_path DATA    folder of preprocess.py (binaries), folder of PNG and JPEG pictures, or one "
         "picture\n"
         "  --manifest FILE        manifest of the model (default: MODEL with .json)\n"
         "  --device_type DEVICE   CPU, GPU or Ascend (default: CPU)\n"
         "  --device_id N          which GPU or Ascend device (default: 0)\n"
         "  --result_path FOLDER   where results go (default: result_Files)\n"
         "  --threads N            threads of the inference on CPU (default: the number of cores)\n"
         "  --batch N              the batch that the model is expected to have; it is fixed when the model is "
         "exported\n"
         "  --outputs WHAT         labels: at each picture's size; logits: as the model gives them (default: labels)\n"
         "  --keep_going           skip inputs that cannot be read, list them at the end, and exit with 1\n"
         "  --help, --version      print this, or the version of the runner and its library\n"
         "\n"
         "Writes NAME.bin of each binary or NAME.png of each picture, and at last result.json. The log goes to "
         "stdout.\n"
         "Exit status: 0 done, 1 the work failed or inputs were skipped, 2 something must be changed first.\n";
}

}  // namespace ocrnet
