// From a decoded picture to the model's input: the same numbers as src/inference/predictor.py.
#ifndef OCRNET_INC_PREPROCESS_H_
#define OCRNET_INC_PREPROCESS_H_

#include <array>
#include <cstdint>
#include <vector>

#include "inc/manifest.h"
#include "inc/picture.h"

namespace ocrnet {

// Resizes 8-bit pictures bilinearly with the rounding of OpenCV's INTER_LINEAR (11-bit weights; exactly half the size
// is the rounded mean of 2 x 2 pixels). Keeps its tables and rows from picture to picture.
class PictureResizer {
 public:
  // Writes `out`, whose width and height are set by the caller.
  void Resize(const Picture& picture, Picture* out);

 private:
  struct Tap {
    int first;   // index of the first source pixel
    int second;  // index of the second one
    int weight_first;
    int weight_second;
  };

  static void MakeTaps(int in, int out, bool are_rows, std::vector<Tap>* taps);
  const int* Row(const Picture& picture, int y);

  std::vector<Tap> columns_;
  std::vector<Tap> rows_;
  std::array<std::vector<int>, 2> cached_;
  std::array<int, 2> cached_y_{-1, -1};
};

// Fills samples of the model's input.
class Preprocessor {
 public:
  explicit Preprocessor(const InputSpec& spec);

  // Writes one sample, (3, height, width) of the input's type.
  void Run(const Picture& picture, void* sample);

 private:
  InputSpec spec_;
  std::array<std::array<float, 256>, 3> table_;  // what each value of each channel becomes
  PictureResizer resizer_;
  Picture resized_;
};

}  // namespace ocrnet

#endif  // OCRNET_INC_PREPROCESS_H_
