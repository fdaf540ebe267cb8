#include "inc/stderr_capture.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace ocrnet {
namespace {

constexpr long kMaxPart = 32 << 10;

std::string ReadPart(std::FILE* file, long start) {
  std::string text(kMaxPart, '\0');
  std::fseek(file, start, SEEK_SET);
  text.resize(std::fread(&text[0], 1, text.size(), file));
  return text;
}

// Returns what a line of MindSpore's log says, behind "[LEVEL] ...[file:line] function] ".
std::string TextOf(const std::string& line) {
  const size_t text = line.find("] ", line.find("] ", line.find("] ") + 1) + 1);
  return text == std::string::npos ? line : line.substr(text + 2);
}

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
  std::fseek(file_, 0, SEEK_END);
  const long size = std::ftell(file_);
  std::string log = ReadPart(file_, 0);
  if (size > kMaxPart) log += ReadPart(file_, std::max(kMaxPart, size - kMaxPart));
  std::fclose(file_);
  file_ = nullptr;
  return log;
}

std::string CauseInLog(const std::string& log) {
  std::istringstream lines(log);
  std::string unsupported;
  std::string first_error;
  for (std::string line; std::getline(lines, line);) {
    const std::string kOpening = "failed, error: ";
    const size_t opening = line.find(kOpening);
    if (opening != std::string::npos) return line.substr(opening + kOpening.size());
    const std::string text = TextOf(line);
    if (unsupported.empty() && text.compare(0, 12, "Unsupported ") == 0) unsupported = text;
    // MindSpore says this of every exception before it says what it is.
    const bool is_preface = text.find("null exception handler") != std::string::npos;
    if (first_error.empty() && line.compare(0, 7, "[ERROR]") == 0 && !is_preface) first_error = text;
  }
  return unsupported.empty() ? first_error : unsupported;
}

}  // namespace ocrnet
