// Resizing of logits and labels against values computed by hand, and against the plain double loop.
#include "inc/labels.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/check.h"
#include "tests/fixtures.h"

using ocrnet::LabelMaker;
using ocrnet::OutputSpec;

namespace {

enum class Rule { kAlignCorners, kHalfPixel, kAsymmetric };
constexpr Rule kRules[] = {Rule::kAlignCorners, Rule::kHalfPixel, Rule::kAsymmetric};

OutputSpec Logits(int64_t num_classes, int64_t height, int64_t width, Rule rule) {
  OutputSpec spec;
  spec.tensor.shape = {1, num_classes, height, width};
  spec.align_corners = rule == Rule::kAlignCorners;
  spec.half_pixel_centers = rule == Rule::kHalfPixel;
  return spec;
}

// Returns the labels as digits, rows after each other.
std::string Labels(const OutputSpec& spec, const std::vector<float>& logits, int64_t height, int64_t width) {
  std::vector<uint8_t> labels(static_cast<size_t>(height * width));
  LabelMaker(spec).Run(logits.data(), height, width, labels.data());
  std::string digits;
  for (uint8_t label : labels) digits += static_cast<char>('0' + label);
  return digits;
}

float Position(Rule rule, int64_t i, int64_t in, int64_t out) {
  const float step = static_cast<float>(i);
  if (rule == Rule::kAlignCorners && out > 1) return step * (static_cast<float>(in - 1) / static_cast<float>(out - 1));
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  return rule == Rule::kHalfPixel ? std::max((step + 0.5f) * scale - 0.5f, 0.f) : step * scale;
}

// Full-size logits one pixel at a time, then their argmax: what LabelMaker must equal.
std::string PlainLabels(const OutputSpec& spec, Rule rule, const std::vector<float>& logits, int64_t height,
                        int64_t width) {
  const int64_t num_classes = spec.tensor.shape[1];
  const int64_t h = spec.tensor.shape[2];
  const int64_t w = spec.tensor.shape[3];
  std::string digits;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const float v = Position(rule, y, h, height);
      const float u = Position(rule, x, w, width);
      const int64_t top = std::min(static_cast<int64_t>(v), h - 1);
      const int64_t left = std::min(static_cast<int64_t>(u), w - 1);
      const int64_t bottom = std::min(top + 1, h - 1);
      const int64_t right = std::min(left + 1, w - 1);
      int64_t winner = 0;
      float best = -INFINITY;
      for (int64_t k = 0; k < num_classes; ++k) {
        const auto at = [&](int64_t row, int64_t column) {
          return logits[static_cast<size_t>((k * h + row) * w + column)];
        };
        const float across = u - static_cast<float>(left);
        const float upper = at(top, left) + (at(top, right) - at(top, left)) * across;
        const float lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across;
        const float value = upper + (lower - upper) * (v - static_cast<float>(top));
        if (value > best) winner = k;
        best = std::max(best, value);
      }
      digits += static_cast<char>('0' + winner);
    }
  }
  return digits;
}

}  // namespace

// One class stays at the threshold, the other runs from 0 to 1: where does it pass? Positions of four pixels between
// two: aligned corners 0, 1/3, 2/3, 1; half pixels 0 (-1/4), 1/4, 3/4, 1 (5/4); asymmetric 0, 1/2, 1, 1 (3/2).
TEST(Labels, RulesAcross) {
  const std::vector<float> low = {0.3f, 0.3f, 0, 1};
  const std::vector<float> high = {0.7f, 0.7f, 0, 1};
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAlignCorners), low, 1, 4), "0111");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kHalfPixel), low, 1, 4), "0011");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAsymmetric), low, 1, 4), "0111");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAlignCorners), high, 1, 4), "0001");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kHalfPixel), high, 1, 4), "0011");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAsymmetric), high, 1, 4), "0011");
}

TEST(Labels, RulesDown) {
  const std::vector<float> low = {0.3f, 0.3f, 0, 1};
  const std::vector<float> high = {0.7f, 0.7f, 0, 1};
  CHECK_EQUAL(Labels(Logits(2, 2, 1, Rule::kAlignCorners), low, 4, 1), "0111");
  CHECK_EQUAL(Labels(Logits(2, 2, 1, Rule::kHalfPixel), low, 4, 1), "0011");
  CHECK_EQUAL(Labels(Logits(2, 2, 1, Rule::kAsymmetric), high, 4, 1), "0011");
  CHECK_EQUAL(Labels(Logits(2, 2, 1, Rule::kAlignCorners), high, 4, 1), "0001");
}

// A 2 x 3 slope to 3 x 5, corners aligned: class 1 is 10 * row + column, so that in the middle row it is 5, 5.5,
// 6, 6.5, 7.
TEST(Labels, NonSquare) {
  const std::vector<float> logits = {5.75f, 5.75f, 5.75f, 5.75f, 5.75f, 5.75f, 0, 1, 2, 10, 11, 12};
  CHECK_EQUAL(Labels(Logits(2, 2, 3, Rule::kAlignCorners), logits, 3, 5), "000000011111111");
}

TEST(Labels, FirstOfEqualMaximaWins) {
  CHECK_EQUAL(Labels(Logits(3, 1, 1, Rule::kAlignCorners), {2, 2, 2}, 1, 3), "000");
  CHECK_EQUAL(Labels(Logits(3, 1, 1, Rule::kHalfPixel), {1, 2, 2}, 2, 1), "11");
  // Equal in the middle only.
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAlignCorners), {1, 0, 0, 1}, 1, 5), "00011");
}

TEST(Labels, AllNegative) {
  CHECK_EQUAL(Labels(Logits(3, 1, 2, Rule::kHalfPixel), {-5, -9, -3, -8, -4, -1}, 1, 2), "12");
  CHECK_EQUAL(Labels(Logits(2, 1, 1, Rule::kHalfPixel), {-3e38f, -2e38f}, 1, 1), "1");
}

TEST(Labels, OnePixel) {
  for (Rule rule : kRules) {
    CHECK_EQUAL(Labels(Logits(2, 1, 1, rule), {0, 1}, 2, 3), "111111");
    CHECK_EQUAL(Labels(Logits(1, 3, 3, rule), std::vector<float>(9), 1, 1), "0");
  }
  // From many pixels to one: the corner, or half a pixel in: the middle of two.
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAlignCorners), {0.3f, 0.3f, 0, 1}, 1, 1), "0");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kHalfPixel), {0.3f, 0.3f, 0, 1}, 1, 1), "1");
  CHECK_EQUAL(Labels(Logits(2, 1, 2, Rule::kAsymmetric), {0.3f, 0.3f, 0, 1}, 1, 1), "0");
}

TEST(Labels, LargestClass) {
  std::vector<float> logits(256, 0);
  logits[255] = 1;
  std::vector<uint8_t> labels(2);
  LabelMaker(Logits(256, 1, 1, Rule::kHalfPixel)).Run(logits.data(), 1, 2, labels.data());
  CHECK_EQUAL(int{labels[1]}, 255);
}

// Odd and non-square sizes, larger and smaller, wider than a block of the argmax; one maker for several sizes.
TEST(Labels, EqualThePlainLoop) {
  std::mt19937 random(310);
  std::normal_distribution<float> normal(-3, 1);
  const int64_t sizes[][2] = {{23, 17}, {7, 601}, {9, 13}, {1, 5}, {4, 3}, {37, 2}};
  for (Rule rule : kRules) {
    const OutputSpec spec = Logits(9, 9, 13, rule);
    LabelMaker maker(spec);
    for (const auto& size : sizes) {
      std::vector<float> logits(9 * 9 * 13);
      for (float& value : logits) value = normal(random);
      std::vector<uint8_t> labels(static_cast<size_t>(size[0] * size[1]));
      maker.Run(logits.data(), size[0], size[1], labels.data());
      std::string digits;
      for (uint8_t label : labels) digits += static_cast<char>('0' + label);
      CHECK_TRUE(digits == PlainLabels(spec, rule, logits, size[0], size[1]));
    }
  }
}

// floor((i + 0.5) * in / out): five rows of two are 0 0 1 1 1, four columns of three 0 1 1 2.
TEST(Labels, NearestOfLabels) {
  OutputSpec spec;
  spec.is_labels = true;
  spec.tensor = {ocrnet::DType::kUint8, {1, 2, 3}};
  const uint8_t labels[] = {1, 2, 3, 4, 5, 255};
  std::vector<uint8_t> resized(20);
  LabelMaker(spec).Run(labels, 5, 4, resized.data());
  const std::vector<uint8_t> expected = {1, 2, 2, 3, 1, 2, 2, 3, 4, 5, 5, 255, 4, 5, 5, 255, 4, 5, 5, 255};
  CHECK_TRUE(resized == expected);
  LabelMaker(spec).Run(labels, 2, 3, resized.data());
  CHECK_TRUE(std::equal(labels, labels + 6, resized.begin()));
}

TEST(Golden, Masks) {
  const ocrnet::Json golden = ocrnet_test::ReadGolden();
  const std::vector<float> logits = ocrnet_test::GoldenFloats(golden, "logits");
  const std::vector<ocrnet::Json>& masks = golden.Find("masks")->items();
  CHECK_EQUAL(masks.size(), 3);
  for (const ocrnet::Json& mask : masks) {
    OutputSpec spec;
    spec.tensor.shape = {1, 4, 4, 5};
    spec.align_corners = mask.Find("align_corners")->boolean();
    spec.half_pixel_centers = mask.Find("half_pixel_centers")->boolean();
    std::vector<std::string> rows;
    CHECK_OK(mask.Get("rows", &rows));
    std::string expected;
    for (const std::string& row : rows) expected += row;
    CHECK_EQUAL(Labels(spec, logits, 17, 23), expected);
  }
}
