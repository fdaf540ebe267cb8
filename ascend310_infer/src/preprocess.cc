#include "inc/preprocess.h"

#include <algorithm>
#include <cmath>

namespace ocrnet {
namespace {

constexpr int kWeightBits = 11;
constexpr int kOne = 1 << kWeightBits;

int RoundToEven(float value) { return static_cast<int>(std::nearbyint(value)); }

void HalveBoth(const Picture& picture, Picture* out) {
  const size_t stride = static_cast<size_t>(picture.width) * 3;
  uint8_t* to = out->pixels.data();
  for (int y = 0; y < out->height; ++y) {
    const uint8_t* top = picture.pixels.data() + static_cast<size_t>(y) * 2 * stride;
    for (int x = 0; x < out->width; ++x, top += 6) {
      for (int c = 0; c < 3; ++c) {
        const int sum =
            top[c] + top[c + 3] + top[stride + static_cast<size_t>(c)] + top[stride + static_cast<size_t>(c) + 3];
        *to++ = static_cast<uint8_t>((sum + 2) >> 2);
      }
    }
  }
}

}  // namespace

// OpenCV weighs the columns beyond an edge 1 and 0, but lets rows keep their weights and repeats the edge's row: with
// its rounding in between these are not the same.
void PictureResizer::MakeTaps(int in, int out, bool are_rows, std::vector<Tap>* taps) {
  const double scale = 1.0 / (static_cast<double>(out) / in);
  taps->resize(static_cast<size_t>(out));
  for (int i = 0; i < out; ++i) {
    float at = static_cast<float>((i + 0.5) * scale - 0.5);
    int first = static_cast<int>(std::floor(at));
    at -= static_cast<float>(first);
    if (!are_rows && (first < 0 || first >= in - 1)) at = 0;
    const int second = std::clamp(first + 1, 0, in - 1);
    first = std::clamp(first, 0, in - 1);
    (*taps)[static_cast<size_t>(i)] = {first, second, RoundToEven((1.f - at) * kOne), RoundToEven(at * kOne)};
  }
}

const int* PictureResizer::Row(const Picture& picture, int y) {
  // Source rows are asked for in pairs that move downward: of two neighbours one is even and one odd.
  const size_t slot = static_cast<size_t>(y) & 1;
  std::vector<int>& row = cached_[slot];
  if (cached_y_[slot] == y) return row.data();
  cached_y_[slot] = y;
  row.resize(columns_.size() * 3);
  const uint8_t* source = picture.pixels.data() + static_cast<size_t>(y) * static_cast<size_t>(picture.width) * 3;
  int* to = row.data();
  for (const Tap& tap : columns_) {
    const uint8_t* first = source + tap.first * 3;
    const uint8_t* second = source + tap.second * 3;
    for (int c = 0; c < 3; ++c) *to++ = first[c] * tap.weight_first + second[c] * tap.weight_second;
  }
  return row.data();
}

void PictureResizer::Resize(const Picture& picture, Picture* out) {
  out->pixels.resize(static_cast<size_t>(out->width) * static_cast<size_t>(out->height) * 3);
  if (picture.width == out->width * 2 && picture.height == out->height * 2) return HalveBoth(picture, out);
  MakeTaps(picture.width, out->width, false, &columns_);
  MakeTaps(picture.height, out->height, true, &rows_);
  cached_y_ = {-1, -1};
  uint8_t* to = out->pixels.data();
  for (const Tap& tap : rows_) {
    const int* first = Row(picture, tap.first);
    const int* second = Row(picture, tap.second);
    for (size_t i = 0; i < columns_.size() * 3; ++i) {
      // Two roundings down before the last one: so OpenCV's vector code does it in 16 bits.
      const int sum = ((tap.weight_first * (first[i] >> 4)) >> 16) + ((tap.weight_second * (second[i] >> 4)) >> 16);
      *to++ = static_cast<uint8_t>((sum + 2) >> 2);
    }
  }
}

Preprocessor::Preprocessor(const InputSpec& spec) : spec_(spec) {
  resized_.width = static_cast<int>(spec.width());
  resized_.height = static_cast<int>(spec.height());
  for (size_t c = 0; c < 3; ++c) {
    for (size_t value = 0; value < 256; ++value) {
      table_[c][value] = static_cast<float>((static_cast<double>(value) / 255.0 - spec.mean[c]) / spec.std[c]);
    }
  }
}

void Preprocessor::Run(const Picture& picture, void* sample) {
  const bool has_size = picture.width == resized_.width && picture.height == resized_.height;
  if (!has_size) resizer_.Resize(picture, &resized_);
  const uint8_t* pixels = has_size ? picture.pixels.data() : resized_.pixels.data();
  const size_t num_pixels = static_cast<size_t>(spec_.height() * spec_.width());
  for (size_t c = 0; c < 3; ++c) {
    const uint8_t* from = pixels + (spec_.color_order == "RGB" ? c : 2 - c);
    if (spec_.tensor.dtype == DType::kUint8) {
      uint8_t* to = static_cast<uint8_t*>(sample) + c * num_pixels;
      for (size_t i = 0; i < num_pixels; ++i) to[i] = from[i * 3];
    } else {
      float* to = static_cast<float*>(sample) + c * num_pixels;
      for (size_t i = 0; i < num_pixels; ++i) to[i] = table_[c][from[i * 3]];
    }
  }
}

}  // namespace ocrnet
