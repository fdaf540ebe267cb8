#include "inc/labels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ocrnet {
namespace {

constexpr size_t kNoRow = SIZE_MAX;
constexpr size_t kBlock = 256;  // pixels whose running maxima stay in the processor's nearest cache

}  // namespace

void LabelMaker::Run(const void* output, int64_t height, int64_t width, uint8_t* labels) {
  const size_t out_height = static_cast<size_t>(height);
  const size_t out_width = static_cast<size_t>(width);
  if (spec_.is_labels) return ResizeLabels(static_cast<const uint8_t*>(output), out_height, out_width, labels);
  const float* logits = static_cast<const float*>(output);
  MakeTaps(static_cast<size_t>(spec_.tensor.shape[2]), out_height, &rows_);
  MakeTaps(static_cast<size_t>(spec_.tensor.shape[3]), out_width, &columns_);
  cached_y_ = {kNoRow, kNoRow};
  for (size_t y = 0; y < out_height; ++y) {
    const Tap& tap = rows_[y];
    const float* top = Row(logits, tap.lower);
    const float* bottom = Row(logits, tap.upper);
    ArgmaxRow(top, bottom, tap.lerp, labels + y * out_width);
  }
}

void LabelMaker::ResizeLabels(const uint8_t* from, size_t height, size_t width, uint8_t* labels) const {
  const size_t in_height = static_cast<size_t>(spec_.tensor.shape[1]);
  const size_t in_width = static_cast<size_t>(spec_.tensor.shape[2]);
  if (in_height == height && in_width == width) {
    std::memcpy(labels, from, height * width);
    return;
  }
  for (size_t y = 0; y < height; ++y) {
    // floor((i + 0.5) * in / out) in whole numbers
    const uint8_t* row = from + (2 * y + 1) * in_height / (2 * height) * in_width;
    for (size_t x = 0; x < width; ++x) *labels++ = row[(2 * x + 1) * in_width / (2 * width)];
  }
}

// The same float32 steps as MindSpore's kernel, which computes positions in float, too.
void LabelMaker::MakeTaps(size_t in, size_t out, std::vector<Tap>* taps) const {
  const bool align = spec_.align_corners && out > 1;
  const float scale = align ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                            : static_cast<float>(in) / static_cast<float>(out);
  const bool half_pixel = spec_.half_pixel_centers && !spec_.align_corners;
  taps->resize(out);
  for (size_t i = 0; i < out; ++i) {
    const float at = half_pixel ? (static_cast<float>(i) + 0.5f) * scale - 0.5f : static_cast<float>(i) * scale;
    const float floor = std::floor(at);
    const size_t upper = std::min(static_cast<size_t>(std::max(std::ceil(at), 0.f)), in - 1);
    const size_t lower = std::min(static_cast<size_t>(std::max(floor, 0.f)), upper);
    (*taps)[i] = {lower, upper, at - floor};
  }
}

const float* LabelMaker::Row(const float* logits, size_t y) {
  // The two rows of a pair are neighbours or the same: one is even and one odd.
  const size_t slot = y & 1;
  std::vector<float>& row = cached_[slot];
  if (cached_y_[slot] == y) return row.data();
  cached_y_[slot] = y;
  const size_t num_classes = static_cast<size_t>(spec_.tensor.shape[1]);
  const size_t in_height = static_cast<size_t>(spec_.tensor.shape[2]);
  const size_t in_width = static_cast<size_t>(spec_.tensor.shape[3]);
  row.resize(num_classes * columns_.size());
  float* to = row.data();
  for (size_t k = 0; k < num_classes; ++k) {
    const float* from = logits + (k * in_height + y) * in_width;
    for (const Tap& tap : columns_) *to++ = from[tap.lower] + (from[tap.upper] - from[tap.lower]) * tap.lerp;
  }
  return row.data();
}

void LabelMaker::ArgmaxRow(const float* top, const float* bottom, float lerp, uint8_t* labels) {
  const size_t num_classes = static_cast<size_t>(spec_.tensor.shape[1]);
  const size_t width = columns_.size();
  float best[kBlock];
  int32_t winner[kBlock];  // as wide as the logits, so that the compiler makes vectors of both
  for (size_t start = 0; start < width; start += kBlock) {
    const size_t count = std::min(kBlock, width - start);
    for (size_t i = 0; i < count; ++i) {
      best[i] = top[start + i] + (bottom[start + i] - top[start + i]) * lerp;
      winner[i] = 0;
    }
    for (size_t k = 1; k < num_classes; ++k) {
      const float* upper = top + k * width + start;
      const float* lower = bottom + k * width + start;
      const int32_t label = static_cast<int32_t>(k);
      for (size_t i = 0; i < count; ++i) {
        const float value = upper[i] + (lower[i] - upper[i]) * lerp;
        const bool wins = value > best[i];
        best[i] = wins ? value : best[i];
        winner[i] = wins ? label : winner[i];
      }
    }
    for (size_t i = 0; i < count; ++i) labels[start + i] = static_cast<uint8_t>(winner[i]);
  }
}

}  // namespace ocrnet
