// Runs an exported model of OCRNet through the libraries that this build has; see --help.
#include <string>
#include <vector>

#include "inc/backend_module.h"
#include "inc/runner.h"

int main(int argc, char** argv) {
  ocrnet::Backends backends;
  for (const char* name : {OCRNET_BACKENDS}) backends.push_back(ocrnet::BackendModule(name));
  return ocrnet::Main(std::vector<std::string>(argv + 1, argv + argc), backends);
}
