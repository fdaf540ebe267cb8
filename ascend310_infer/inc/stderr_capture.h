// Holds back what a library prints on stderr while it loads or runs a model, so that a failure can be told in one line.
#ifndef OCRNET_INC_STDERR_CAPTURE_H_
#define OCRNET_INC_STDERR_CAPTURE_H_

#include <cstdio>
#include <string>

namespace ocrnet {

// Captures file descriptor 2 from its making to Finish() or its end. Does nothing where no temporary file can be made,
// or where the user asked for the library's log by setting the environment variable GLOG_v.
class StderrCapture {
 public:
  StderrCapture();
  ~StderrCapture() { Finish(); }
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  // Gives stderr back and returns what was printed; of much the first and the last 32 KiB.
  std::string Finish();

 private:
  std::FILE* file_ = nullptr;
  int stderr_copy_ = -1;
};

// Returns the cause that a MindSpore log names: the first library that could not be opened, otherwise the first thing
// that is unsupported (only a warning, without which no error is understood), otherwise the first error; empty without
// any.
std::string CauseInLog(const std::string& log);

}  // namespace ocrnet

#endif  // OCRNET_INC_STDERR_CAPTURE_H_
