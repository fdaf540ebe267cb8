#include "inc/stderr_capture.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace ocrnet {
namespace {

constexpr size_t kMaxLog = 64 << 10;

}  // namespace

StderrCapture::StderrCapture() {
  if (std::getenv("GLOG_v") != nullptr) return;
  file_ = std::tmpfile();
  if (file_ == nullptr) return;
  std::fflush(stderr);
  stderr_copy_ = dup(STDERR_FILENO);
  if (stderr_copy_ >= 0) dup2(fileno(file_), STDERR_FILENO);
}

std::string StderrCapture::Finish() {
  if (file_ == nullptr) return "";
  std::fflush(stderr);
  if (stderr_copy_ >= 0) {
    dup2(stderr_copy_, STDERR_FILENO);
    close(stderr_copy_);
    stderr_copy_ = -1;
  }
  std::string log(kMaxLog, '\0');
  std::rewind(file_);
  log.resize(std::fread(&log[0], 1, log.size(), file_));
  std::fclose(file_);
  file_ = nullptr;
  return log;
}

std::string CauseInLog(const std::string& log) {
  std::istringstream lines(log);
  std::string first_error;
  for (std::string line; std::getline(lines, line);) {
    const std::string kOpening = "failed, error: ";
    const size_t opening = line.find(kOpening);
    if (opening != std::string::npos) return line.substr(opening + kOpening.size());
    if (first_error.empty() && line.compare(0, 7, "[ERROR]") == 0) {
      const size_t text = line.find("] ", line.find("] ", 7) + 1);  // behind "[file:line] function]"
      first_error = text == std::string::npos ? line : line.substr(text + 2);
    }
  }
  return first_error;
}

}  // namespace ocrnet
