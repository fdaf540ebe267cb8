#include "inc/engine.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <exception>
#include <new>
#include <sstream>

#include "inc/stderr_capture.h"

namespace ocrnet {
namespace {

constexpr char kNoReason[] = "the library does not say why; GLOG_v=1 in the environment shows its log";

// Returns a text's first line that says something, without the dot at its end.
std::string FirstLine(const std::string& text) {
  const size_t start = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  std::string line = text.substr(start, text.find_first_of("\r\n", start) - start);
  line.erase(line.find_last_not_of(" \t.") + 1);
  return line;
}

// Returns whether a cause speaks of the device, or of a library that it needs, rather than of the model.
bool IsOfDevice(std::string cause) {
  for (char& c : cause) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* word : {"shared object", "device", "driver", "plugin"}) {
    if (cause.find(word) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::string ModelOnDevice(const EngineOptions& options) {
  const std::string id = options.device_type == "CPU" ? "" : " --device_id " + std::to_string(options.device_id);
  return options.model_path + " on --device_type " + options.device_type + id;
}

Status LoadingFailed(const EngineOptions& options, const std::string& library, const std::string& cause) {
  const std::string what = ModelOnDevice(options) + ": " + library;
  if (options.device_type == "CPU" || !IsOfDevice(cause)) {
    return Status::UserError(what + " cannot load it: " + cause);
  }
  return Status::UserError(what + " cannot use this device: " + cause +
                           "; install its driver and libraries, or take --device_type CPU");
}

std::string CauseOfFailure(const std::function<bool(std::string* text)>& step) {
  StderrCapture capture;
  std::string text;
  bool is_done = false;
  const std::string exception = CauseOfException([&] { is_done = step(&text); });
  if (is_done) return "";
  for (const std::string& cause : {FirstLine(CauseInLog(capture.Finish())), exception, FirstLine(text)}) {
    if (!cause.empty()) return cause;
  }
  return kNoReason;
}

std::string CauseOfException(const std::function<void()>& step) {
  std::string cause;
  try {
    step();
    return "";
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    cause = CauseInText(error.what());
  }
  return cause.empty() ? kNoReason : cause;
}

std::string CauseInText(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    bool is_preface = line.find_first_not_of(" \t\r") == std::string::npos;
    for (const char* preface : {"Exception from ", "Check '", "While validating node", "FrontEnd API failed",
                                "Model wasn't fully converted", "Summary:"}) {
      is_preface = is_preface || line.compare(0, std::strlen(preface), preface) == 0;
    }
    if (is_preface) continue;
    return FirstLine(line.compare(0, 3, "-- ") == 0 ? line.substr(3) : line);
  }
  return FirstLine(text);
}

}  // namespace ocrnet
