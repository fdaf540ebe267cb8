// What there is to do: the samples of preprocess.py's folder, of a folder of pictures, or one picture.
#ifndef OCRNET_INC_INDEX_H_
#define OCRNET_INC_INDEX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "inc/manifest.h"
#include "inc/status.h"

namespace ocrnet {

struct Sample {
  std::string name;    // of the result, without its ending
  std::string path;    // of the input
  int64_t height = 0;  // of the answer, pixels; for pictures known once they are decoded
  int64_t width = 0;
};

struct Dataset {
  bool is_binary = false;  // binaries that preprocess.py wrote, otherwise pictures
  std::vector<Sample> samples;
};

// Finds the samples and makes sure that binaries were made for this model. The sizes of the binaries are looked at here
// when check_sizes is set, so that a wrong one is told before the model is loaded.
Status OpenDataset(const std::string& path, const Manifest& manifest, bool check_sizes, Dataset* out);

// Returns whether a name of the index can be a file's name inside a folder: no separator, no "..", UTF-8, not hidden.
bool IsSafeName(const std::string& name);

}  // namespace ocrnet

#endif  // OCRNET_INC_INDEX_H_
