#include "inc/index.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "inc/files.h"
#include "inc/json.h"

namespace ocrnet {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxIndexBytes = 64 << 20;  // several 100000 samples; what it holds takes many times that memory
constexpr int64_t kMaxAnswerSide = 1 << 16;
constexpr int64_t kMaxAnswerPixels = int64_t{1} << 28;
constexpr double kMaxDifference = 1e-6;  // of mean and std
constexpr char kPreprocessAgain[] = "; run preprocess.py again for this model";

std::string LowerExtension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return extension;
}

bool IsPicture(const fs::path& path) {
  const std::string extension = LowerExtension(path);
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

// Returns whether a relative path stays in its folder.
bool IsSafePath(const std::string& path) {
  size_t start = 0;
  for (;;) {
    const size_t end = std::min(path.find('/', start), path.size());
    if (!IsSafeName(path.substr(start, end - start))) return false;
    if (end == path.size()) return true;
    start = end + 1;
  }
}

Status CheckInput(const Json& json, const InputSpec& wanted) {
  InputSpec found;
  OCRNET_RETURN_IF_ERROR(ReadDType(json, "dtype", &found.tensor.dtype));
  OCRNET_RETURN_IF_ERROR(json.Get("shape", &found.tensor.shape));
  OCRNET_RETURN_IF_ERROR(ReadNormalization(json, &found));
  const TensorSpec sample{wanted.tensor.dtype, {3, wanted.height(), wanted.width()}};
  if (found.tensor != sample) {
    return Status::UserError("samples are " + found.tensor.ToString() + ", the model takes " + sample.ToString() +
                             kPreprocessAgain);
  }
  bool same = found.color_order == wanted.color_order;
  for (size_t i = 0; i < 3; ++i) {
    same = same && std::fabs(found.mean[i] - wanted.mean[i]) <= kMaxDifference &&
           std::fabs(found.std[i] - wanted.std[i]) <= kMaxDifference;
  }
  return same ? Status::Ok()
              : Status::UserError(std::string("colour order, mean or std are not those of the model") +
                                  kPreprocessAgain);
}

Status ReadSample(const Json& json, const std::string& folder, Sample* out) {
  std::string input;
  OCRNET_RETURN_IF_ERROR(json.Get("name", &out->name));
  OCRNET_RETURN_IF_ERROR(json.Get("input", &input));
  OCRNET_RETURN_IF_ERROR(json.Get("height", &out->height));
  OCRNET_RETURN_IF_ERROR(json.Get("width", &out->width));
  if (!IsSafeName(out->name))
    return Status::UserError("the name " + JsonQuoted(out->name) + " is no plain file name; rename the picture");
  if (!IsSafePath(input)) return Status::UserError("the input " + JsonQuoted(input) + " leaves the folder");
  const bool fits = out->height >= 1 && out->width >= 1 && out->height <= kMaxAnswerSide &&
                    out->width <= kMaxAnswerSide && out->height * out->width <= kMaxAnswerPixels;
  if (!fits) return Status::UserError("\"height\" and \"width\" are no size of a picture");
  out->path = JoinPath(folder, input);
  return Status::Ok();
}

Status ReadSamples(const Json& json, const std::string& folder, std::vector<Sample>* out) {
  const Json* samples;
  OCRNET_RETURN_IF_ERROR(json.GetArray("samples", &samples));
  if (samples->items().empty()) return Status::UserError("it has no samples");
  std::set<std::string> names;
  for (const Json& item : samples->items()) {
    Sample sample;
    OCRNET_RETURN_IF_ERROR(ReadSample(item, folder, &sample).At("sample " + std::to_string(out->size())));
    if (!names.insert(sample.name).second) {
      return Status::UserError("the name " + JsonQuoted(sample.name) + " occurs twice");
    }
    out->push_back(std::move(sample));
  }
  return Status::Ok();
}

Status FromJson(const Json& json, const std::string& folder, const Manifest& manifest, std::vector<Sample>* out) {
  int64_t format;
  int64_t num_classes;
  const Json* input;
  OCRNET_RETURN_IF_ERROR(json.Get("format", &format));
  if (format != 1) return Status::UserError("\"format\" is " + std::to_string(format) + ", expected 1");
  OCRNET_RETURN_IF_ERROR(json.GetObject("input", &input));
  OCRNET_RETURN_IF_ERROR(CheckInput(*input, manifest.input));
  OCRNET_RETURN_IF_ERROR(json.Get("num_classes", &num_classes));
  const int64_t wanted = static_cast<int64_t>(manifest.class_names.size());
  if (num_classes != wanted) {
    return Status::UserError("labels of " + std::to_string(num_classes) + " classes, the model has " +
                             std::to_string(wanted) + kPreprocessAgain);
  }
  return ReadSamples(json, folder, out);
}

Status CheckSizes(const std::vector<Sample>& samples, size_t bytes) {
  for (const Sample& sample : samples) {
    uint64_t size = 0;
    OCRNET_RETURN_IF_ERROR(FileSize(sample.path, &size));
    if (size != bytes) {
      return Status::UserError(sample.path + ": " + std::to_string(size) + " bytes, expected " + std::to_string(bytes) +
                               kPreprocessAgain);
    }
  }
  return Status::Ok();
}

Status OpenIndex(const std::string& folder, const std::string& path, const Manifest& manifest, bool check_sizes,
                 Dataset* out) {
  out->is_binary = true;
  std::string text;
  OCRNET_RETURN_IF_ERROR(ReadTextFile(path, kMaxIndexBytes, &text));
  Json json;
  Status status = Json::Parse(text, &json);
  if (status.ok()) status = FromJson(json, folder, manifest, &out->samples);
  OCRNET_RETURN_IF_ERROR(status.At(path));
  return check_sizes ? CheckSizes(out->samples, manifest.input.sample_bytes()) : Status::Ok();
}

Status AddPicture(const fs::path& path, std::map<std::string, std::string>* of_stem, Dataset* out) {
  Sample sample;
  sample.name = path.stem().string();
  sample.path = path.string();
  if (!IsSafeName(sample.name)) {
    return Status::UserError(sample.path + ": a result cannot be named after this picture; rename it");
  }
  const auto [other, is_new] = of_stem->try_emplace(sample.name, sample.path);
  if (!is_new) {
    return Status::UserError(other->second + " and " + sample.path + " would both give the result " + sample.name +
                             "; rename one");
  }
  out->samples.push_back(std::move(sample));
  return Status::Ok();
}

Status OpenPictures(const std::string& folder, Dataset* out) {
  std::error_code error;
  std::vector<fs::path> paths;
  bool has_inputs = false;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& path = entry->path();
    has_inputs = has_inputs || path.filename() == "inputs";
    std::error_code ignored;  // what cannot be looked at, such as a dangling link, fails when it is read
    const bool is_hidden = path.filename().string()[0] == '.';
    if (!is_hidden && IsPicture(path) && !entry->is_directory(ignored)) paths.push_back(path);
  }
  if (error) return Status::UserError(folder + ": cannot be read: " + error.message());
  if (paths.empty()) {
    return Status::UserError(has_inputs
                                 ? folder + ": no index.json: preprocess.py did not finish; run it again"
                                 : folder + ": neither an index.json of preprocess.py nor a PNG or JPEG picture");
  }
  std::sort(paths.begin(), paths.end());
  std::map<std::string, std::string> of_stem;
  for (const fs::path& path : paths) OCRNET_RETURN_IF_ERROR(AddPicture(path, &of_stem, out));
  return Status::Ok();
}

}  // namespace

bool IsSafeName(const std::string& name) {
  if (name.empty() || name[0] == '.' || name.size() > 240 || !IsUtf8(name)) return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return c == '/' || c == '\\' || c == '\x7f' || static_cast<unsigned char>(c) < 0x20;
  });
}

Status OpenDataset(const std::string& path, const Manifest& manifest, bool check_sizes, Dataset* out) {
  *out = Dataset();
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (!fs::exists(status)) return Status::UserError(path + ": no such folder or picture");
  if (fs::is_directory(status)) {
    const std::string index = JoinPath(path, "index.json");
    if (fs::exists(index, ignored)) return OpenIndex(path, index, manifest, check_sizes, out);
    return OpenPictures(path, out);
  }
  if (!IsPicture(path)) return Status::UserError(path + ": neither a folder nor a PNG or JPEG picture");
  std::map<std::string, std::string> of_stem;
  return AddPicture(path, &of_stem, out);
}

}  // namespace ocrnet
