// The command line of the runner.
#ifndef OCRNET_INC_ARGUMENTS_H_
#define OCRNET_INC_ARGUMENTS_H_

#include <string>
#include <vector>

#include "inc/status.h"

namespace ocrnet {

struct Options {
  std::string model_path;
  std::string dataset_path;
  std::string manifest;   // empty: model_path with .json
  std::string backend;    // empty: the one for the model's kind
  std::string precision;  // empty: the model's
  std::string device_type = "CPU";
  int device_id = 0;
  std::string mode = "latency";
  int streams = 0;  // 0: as many as the library finds right
  std::string result_path = "result_Files";
  int threads = 0;  // 0: as many as the library finds right
  int batch = 0;    // 0: the model's
  std::string outputs = "labels";
  bool keep_going = false;
  bool help = false;
  bool version = false;
};

// Reads "--key value" and "--key=value"; arguments are those after the program's name.
Status ParseArguments(const std::vector<std::string>& arguments, Options* out);

// Returns what --help prints.
std::string HelpText();

}  // namespace ocrnet

#endif  // OCRNET_INC_ARGUMENTS_H_
