// What a function that can fail returns: done, or one line that says what failed and how to mend it.
#ifndef OCRNET_INC_STATUS_H_
#define OCRNET_INC_STATUS_H_

#include <string>
#include <utility>

namespace ocrnet {

class [[nodiscard]] Status {
 public:
  Status() = default;
  static Status Ok() { return Status(); }
  // The user must change something: exit status 2.
  static Status UserError(std::string message) { return Status(2, std::move(message)); }
  // The work failed though nothing was wrong with what was asked: exit status 1.
  static Status WorkFailed(std::string message) { return Status(1, std::move(message)); }

  bool ok() const { return exit_code_ == 0; }
  int exit_code() const { return exit_code_; }
  const std::string& message() const { return message_; }
  // Returns the same status with "where: " before its message.
  Status At(const std::string& where) const { return ok() ? *this : Status(exit_code_, where + ": " + message_); }

 private:
  Status(int exit_code, std::string message) : exit_code_(exit_code), message_(std::move(message)) {}

  int exit_code_ = 0;
  std::string message_;
};

}  // namespace ocrnet

#define OCRNET_RETURN_IF_ERROR(expression)         \
  do {                                             \
    ::ocrnet::Status ocrnet_status = (expression); \
    if (!ocrnet_status.ok()) return ocrnet_status; \
  } while (false)

#endif  // OCRNET_INC_STATUS_H_
