// Writing of labels as PNG masks whose indices are the classes and which look coloured.
#ifndef OCRNET_INC_MASK_PNG_H_
#define OCRNET_INC_MASK_PNG_H_

#include <cstdint>
#include <vector>

#include "inc/manifest.h"
#include "inc/status.h"

namespace ocrnet {

struct MaskImage {
  const uint8_t* labels = nullptr;  // height rows of width classes
  int64_t height = 0;
  int64_t width = 0;
};

// Returns whether this build can read and write PNG files.
bool HavePng();

// Encodes an 8-bit palette PNG; entries that are no class, and that of ignore_label, are black.
Status EncodeMask(const MaskImage& mask, const std::vector<Color>& palette, int ignore_label,
                  std::vector<uint8_t>* out);

}  // namespace ocrnet

#endif  // OCRNET_INC_MASK_PNG_H_
