// A test frame of one page: a fresh machine has no other.
#ifndef OCRNET_TESTS_CHECK_H_
#define OCRNET_TESTS_CHECK_H_

#include <string>

#include "inc/status.h"

namespace ocrnet_test {

// Registers a test for main.cc, which runs the tests of one suite or all.
struct Registration {
  Registration(const char* suite, const char* name, void (*run)());
};

// Notes a failed check; the test goes on.
void Fail(const char* file, int line, const std::string& message);

// A folder of its own for each test, which main.cc removes after it. Ends with '/'.
const std::string& TestFolder();

// Writes a file into the test's folder and returns its path.
std::string TestFile(const std::string& name, const std::string& content);

// Returns the content of a file; empty where there is none.
std::string Content(const std::string& path);

// Each notes a failure unless the check holds.
void CheckTrue(bool holds, const char* text, const char* file, int line);
void CheckOk(const ocrnet::Status& status, const char* file, int line);
// The status must have this exit code and a message that holds this text.
void CheckStatus(const ocrnet::Status& status, int exit_code, const std::string& text, const char* file, int line);
void CheckEqual(const std::string& a, const std::string& b, const char* text, const char* file, int line);
void CheckEqual(double a, double b, const char* text, const char* file, int line);

}  // namespace ocrnet_test

#define TEST(suite, name)                                                                              \
  static void Test##suite##name();                                                                     \
  static const ocrnet_test::Registration registration_##suite##name(#suite, #name, Test##suite##name); \
  static void Test##suite##name()

#define CHECK_TRUE(condition) ocrnet_test::CheckTrue((condition), #condition, __FILE__, __LINE__)
// Of strings, or of numbers, as doubles.
#define CHECK_EQUAL(a, b) ocrnet_test::CheckEqual((a), (b), #a, __FILE__, __LINE__)
#define CHECK_OK(status) ocrnet_test::CheckOk((status), __FILE__, __LINE__)
#define CHECK_STATUS(status, code, text) ocrnet_test::CheckStatus((status), (code), (text), __FILE__, __LINE__)

#endif  // OCRNET_TESTS_CHECK_H_
