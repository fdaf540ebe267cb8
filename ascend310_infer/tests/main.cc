// Runs the tests of the suite that is named, or all: `ocrnet_tests [SUITE]`.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "inc/statistics.h"
#include "tests/check.h"

namespace ocrnet_test {
namespace {

struct Test {
  std::string suite;
  std::string name;
  void (*run)();
};

std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}

int num_failures = 0;
std::string folder;

}  // namespace

Registration::Registration(const char* suite, const char* name, void (*run)()) {
  Tests().push_back({suite, name, run});
}

void Fail(const char* file, int line, const std::string& message) {
  ++num_failures;
  std::printf("%s:%d: %s\n", file, line, message.c_str());
}

const std::string& TestFolder() { return folder; }

std::string TestFile(const std::string& name, const std::string& content) {
  const std::filesystem::path path = folder + name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
  return path.string();
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void CheckTrue(bool holds, const char* text, const char* file, int line) {
  if (!holds) Fail(file, line, std::string("not true: ") + text);
}

void CheckOk(const ocrnet::Status& status, const char* file, int line) {
  if (!status.ok()) Fail(file, line, status.message());
}

void CheckStatus(const ocrnet::Status& status, int exit_code, const std::string& text, const char* file, int line) {
  if (status.exit_code() == exit_code && status.message().find(text) != std::string::npos) return;
  Fail(file, line,
       "status " + std::to_string(status.exit_code()) + ", \"" + status.message() + "\"; expected " +
           std::to_string(exit_code) + ", \"" + text + "\"");
}

void CheckEqual(const std::string& a, const std::string& b, const char* text, const char* file, int line) {
  if (a != b) Fail(file, line, std::string(text) + ": \"" + a + "\" is not \"" + b + "\"");
}

void CheckEqual(double a, double b, const char* text, const char* file, int line) {
  if (a != b) Fail(file, line, std::string(text) + ": " + std::to_string(a) + " is not " + std::to_string(b));
}

int RunTests(const std::string& suite) {
  int num_run = 0;
  for (const Test& test : Tests()) {
    if (!suite.empty() && suite != test.suite) continue;
    std::string pattern = (std::filesystem::temp_directory_path() / "ocrnet_test_XXXXXX").string();
    if (mkdtemp(&pattern[0]) == nullptr) return 1;
    folder = pattern + "/";
    const int failures_before = num_failures;
    test.run();
    std::filesystem::remove_all(pattern);
    ++num_run;
    if (num_failures > failures_before) std::printf("FAILED %s.%s\n", test.suite.c_str(), test.name.c_str());
  }
  std::printf("%d tests, %d failed checks\n", num_run, num_failures);
  return num_run > 0 && num_failures == 0 ? 0 : 1;
}

}  // namespace ocrnet_test

int main(int argc, char** argv) {
  const std::string suite = argc > 1 ? argv[1] : "";
  if (suite != "--peak_memory") return ocrnet_test::RunTests(suite);
  std::printf("%llu\n", static_cast<unsigned long long>(ocrnet::PeakMemoryBytes()));  // for the test that starts it
  return 0;
}
