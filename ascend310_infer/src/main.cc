// Runs a MindIR of OCRNet through MindSpore Lite; see --help.
#include <string>
#include <vector>

#include "inc/lite_backend.h"
#include "inc/runner.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return ocrnet::Main(arguments, *ocrnet::MakeLiteBackend());
}
