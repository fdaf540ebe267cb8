// Decoding of PNG and JPEG pictures, with the values that Pillow's convert("RGB") gives: what src/data/pictures.py
// reads.
#ifndef OCRNET_INC_PICTURE_H_
#define OCRNET_INC_PICTURE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "inc/status.h"

namespace ocrnet {

struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;  // height rows of width RGB triples, 0..255
};

// Decodes the bytes of a picture; the memory of `out` is used again. Grey, palette and 16-bit colour pictures become
// 8-bit RGB, transparency is dropped, and the orientation that EXIF may ask for is not applied (as in eval.py and
// predict.py). 16-bit grey and CMYK are refused, and so is what is damaged, truncated or unbelievably large.
Status DecodePicture(const uint8_t* data, size_t size, Picture* out);

// Reads and decodes pictures one after the other, in the same memory.
class PictureReader {
 public:
  Status Read(const std::string& path, Picture* out);

 private:
  std::vector<uint8_t> file_;
};

// The most pixels that a picture may have: Pillow refuses more, too.
constexpr uint64_t kMaxPicturePixels = 178956970;

// The parts, each of which may be left out of a build; they then say so in their status.
Status DecodePng(const uint8_t* data, size_t size, Picture* out);
Status DecodeJpeg(const uint8_t* data, size_t size, Picture* out);

// Returns whether this build can read JPEG files.
bool HaveJpeg();

// Makes room for a picture, unless its size is unbelievable.
Status AllocatePicture(uint64_t width, uint64_t height, Picture* out);

}  // namespace ocrnet

#endif  // OCRNET_INC_PICTURE_H_
