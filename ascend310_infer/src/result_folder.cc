#include "inc/result_folder.h"

#include <filesystem>
#include <set>
#include <system_error>

#include "inc/files.h"
#include "inc/json.h"

namespace ocrnet {
namespace {

namespace fs = std::filesystem;

constexpr char kResultFile[] = "result.json";
constexpr char kUnfinishedFile[] = ".unfinished";  // there from the first result to result.json
constexpr char kAnotherFolder[] = "; choose another --result_path";
constexpr uint64_t kMaxResultBytes = 256 << 20;  // an index of the largest size, and reasons for what was skipped

Status ReadFormerFiles(const Json& json, std::vector<std::string>* files) {
  int64_t format;
  std::string sha256;
  const Json* part;
  OCRNET_RETURN_IF_ERROR(json.Get("format", &format));
  if (format != 1) return Status::UserError("\"format\" is not 1");
  OCRNET_RETURN_IF_ERROR(json.GetObject("model", &part));
  OCRNET_RETURN_IF_ERROR(part->Get("sha256", &sha256));
  OCRNET_RETURN_IF_ERROR(json.GetArray("skipped", &part));
  OCRNET_RETURN_IF_ERROR(json.GetArray("samples", &part));
  for (const Json& sample : part->items()) {
    std::string name;
    std::string file;
    OCRNET_RETURN_IF_ERROR(sample.Get("name", &name));
    OCRNET_RETURN_IF_ERROR(sample.Get("file", &file));
    const bool is_result =
        file == ResultFile(name, ResultKind::kLabels) || file == ResultFile(name, ResultKind::kMasks);
    if (!IsSafeName(name) || !is_result) return Status::UserError(JsonQuoted(file) + " is no name of a result");
    files->push_back(file);
  }
  return Status::Ok();
}

// Lists the results of an earlier run; none where there was none.
Status FormerFiles(const std::string& folder, std::vector<std::string>* files) {
  const std::string path = JoinPath(folder, kResultFile);
  std::error_code ignored;
  if (fs::symlink_status(path, ignored).type() == fs::file_type::not_found) return Status::Ok();
  std::string text;
  Json json;
  Status status = ReadTextFile(path, kMaxResultBytes, &text);
  if (status.ok()) status = Json::Parse(text, &json).At(path);
  if (status.ok()) status = ReadFormerFiles(json, files).At(path);
  if (status.ok()) return status;
  return Status::UserError(status.message() + ": not written by this program, and would be replaced" + kAnotherFolder);
}

Status Remove(const std::string& path) {
  std::error_code error;
  fs::remove(path, error);
  return error ? Status::UserError(path + ": cannot be removed: " + error.message()) : Status::Ok();
}

// Returns the folders whose files are the inputs, and those that belong to them.
std::set<fs::path> InputFolders(const std::string& dataset_path, const Dataset& dataset) {
  std::set<fs::path> folders;
  if (dataset.is_binary) {
    for (const char* part : {"", "inputs", "labels"}) folders.insert(fs::path(dataset_path) / part);
  }
  std::error_code ignored;
  for (const Sample& sample : dataset.samples) {
    const fs::path path = sample.path;
    folders.insert(path.has_parent_path() ? path.parent_path() : ".");
    folders.insert(fs::weakly_canonical(path, ignored).parent_path());  // where a link leads to
  }
  return folders;
}

bool IsResult(const std::string& file, const Job& job) {
  if (file == kResultFile) return true;
  for (const Sample& sample : job.dataset.samples) {
    if (file == ResultFile(sample.name, job.kind)) return true;
  }
  return false;
}

}  // namespace

Status CheckResultFolder(const std::string& folder, const std::string& dataset_path,
                         const std::vector<std::string>& read, const Job& job) {
  std::error_code ignored;
  for (const fs::path& inputs : InputFolders(dataset_path, job.dataset)) {
    if (!fs::equivalent(inputs, folder, ignored)) continue;
    return Status::UserError("--result_path " + folder + ": results would replace the inputs" + kAnotherFolder);
  }
  for (const std::string& path : read) {
    const std::string file = fs::path(path).filename().string();
    if (!fs::equivalent(JoinPath(folder, file), path, ignored) || !IsResult(file, job)) continue;
    return Status::UserError("--result_path " + folder + ": a result would replace " + path + kAnotherFolder);
  }
  std::vector<std::string> files;
  return FormerFiles(folder, &files);
}

Status OpenResults(const std::string& folder, FileLock* lock) {
  std::vector<std::string> files;
  OCRNET_RETURN_IF_ERROR(PrepareFolder(folder));
  OCRNET_RETURN_IF_ERROR(FormerFiles(folder, &files));
  OCRNET_RETURN_IF_ERROR(lock->Acquire(JoinPath(folder, kUnfinishedFile)));
  files.clear();  // another run may have ended meanwhile
  OCRNET_RETURN_IF_ERROR(FormerFiles(folder, &files));
  // result.json goes last: should this be interrupted, the next run finds the rest by it.
  for (const std::string& file : files) OCRNET_RETURN_IF_ERROR(Remove(JoinPath(folder, file)));
  return Remove(JoinPath(folder, kResultFile));
}

Status CloseResults(const std::string& folder, const std::string& json) {
  OCRNET_RETURN_IF_ERROR(WriteFileAtomically(JoinPath(folder, kResultFile), json.data(), json.size()));
  return Remove(JoinPath(folder, kUnfinishedFile));
}

}  // namespace ocrnet
