// Runs an exported model of OCRNet through the libraries that this build has; see --help.
#include <string>
#include <vector>

#include "inc/runner.h"
#ifdef OCRNET_HAVE_LITE
#include "inc/lite_backend.h"
#endif
#ifdef OCRNET_HAVE_OPENVINO
#include "inc/openvino_backend.h"
#endif

int main(int argc, char** argv) {
  ocrnet::Backends backends;
#ifdef OCRNET_HAVE_LITE
  backends.push_back(ocrnet::MakeLiteBackend());
#endif
#ifdef OCRNET_HAVE_OPENVINO
  backends.push_back(ocrnet::MakeOpenvinoBackend());
#endif
  return ocrnet::Main(std::vector<std::string>(argv + 1, argv + argc), backends);
}
