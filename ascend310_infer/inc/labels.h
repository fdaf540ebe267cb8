// From a model's output to the labels of a picture at its own size.
#ifndef OCRNET_INC_LABELS_H_
#define OCRNET_INC_LABELS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "inc/manifest.h"

namespace ocrnet {

// Turns one sample's output into labels, row by row: full-size logits never exist. Bilinear resizing has the float32
// arithmetic of MindSpore's ResizeBilinearV2 on CPU, so that the labels are the same; the first of equal largest logits
// wins. Keeps its tables and rows from picture to picture.
class LabelMaker {
 public:
  explicit LabelMaker(const OutputSpec& spec) : spec_(spec) {}

  // Writes height rows of width classes.
  // output: one sample, (K, h, w) float32 logits or (h, w) uint8 labels.
  void Run(const void* output, int64_t height, int64_t width, uint8_t* labels);

 private:
  struct Tap {
    size_t lower;
    size_t upper;
    float lerp;  // weight of upper
  };

  void ResizeLabels(const uint8_t* from, size_t height, size_t width, uint8_t* labels) const;
  void MakeTaps(size_t in, size_t out, std::vector<Tap>* taps) const;
  const float* Row(const float* logits, size_t y);
  void ArgmaxRow(const float* top, const float* bottom, float lerp, uint8_t* labels);

  OutputSpec spec_;
  std::vector<Tap> columns_;
  std::vector<Tap> rows_;
  // Two source rows of logits, (K, width) each, resized along x.
  std::array<std::vector<float>, 2> cached_;
  std::array<size_t, 2> cached_y_{};
};

}  // namespace ocrnet

#endif  // OCRNET_INC_LABELS_H_
