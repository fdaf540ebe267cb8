// Decoding of pictures, masks written and read back, and the preprocessing.
#include <cmath>
#include <cstdlib>

#include "inc/mask_png.h"
#include "inc/picture.h"
#include "inc/preprocess.h"
#include "tests/check.h"
#include "tests/fixtures.h"

using ocrnet::Picture;
using ocrnet::PictureReader;
using ocrnet::Status;
using ocrnet_test::Content;
using ocrnet_test::Replaced;
using ocrnet_test::TestFile;

namespace {

const std::string kPng = OCRNET_GOLDEN "/picture.png";
const std::string kJpeg = OCRNET_GOLDEN "/colour.jpg";

Status Decode(const std::string& bytes, Picture* picture) {
  return ocrnet::DecodePicture(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), picture);
}

Picture MakePicture(int height, int width, std::vector<uint8_t> pixels) {
  Picture picture;
  picture.height = height;
  picture.width = width;
  picture.pixels = std::move(pixels);
  return picture;
}

// Resizes a grey picture and returns the first channel.
std::vector<int> Resized(int height, int width, const std::vector<int>& values, int out_height, int out_width) {
  std::vector<uint8_t> pixels;
  for (int value : values) pixels.insert(pixels.end(), 3, static_cast<uint8_t>(value));
  Picture out = MakePicture(out_height, out_width, {});
  ocrnet::PictureResizer().Resize(MakePicture(height, width, pixels), &out);
  std::vector<int> channel;
  for (size_t i = 0; i < out.pixels.size(); i += 3) {
    CHECK_TRUE(out.pixels[i] == out.pixels[i + 1] && out.pixels[i] == out.pixels[i + 2]);
    channel.push_back(out.pixels[i]);
  }
  return channel;
}

ocrnet::InputSpec Input(int64_t height, int64_t width, ocrnet::DType dtype, const std::string& order) {
  ocrnet::InputSpec spec;
  spec.tensor = {dtype, {1, 3, height, width}};
  spec.color_order = order;
  spec.mean = {0.5, 0.25, 0};
  spec.std = {0.5, 1, 2};
  return spec;
}

}  // namespace

TEST(Pictures, Png) {
  Picture picture;
  if (!ocrnet::HavePng()) return CHECK_STATUS(Decode(Content(kPng), &picture), 2, "without libpng");
  CHECK_OK(PictureReader().Read(kPng, &picture));
  CHECK_TRUE(picture.height == 17 && picture.width == 23);
  // The slope of one within a block, rightwards and downwards.
  CHECK_EQUAL(picture.pixels[3] - picture.pixels[0], 1);
  CHECK_EQUAL(picture.pixels[23 * 3] - picture.pixels[0], 1);
}

TEST(Pictures, Jpeg) {
  Picture picture;
  if (!ocrnet::HaveJpeg()) return CHECK_STATUS(Decode(Content(kJpeg), &picture), 2, "without libjpeg");
  CHECK_OK(PictureReader().Read(kJpeg, &picture));
  CHECK_TRUE(picture.height == 8 && picture.width == 16 && picture.pixels.size() == 8 * 16 * 3);
  const int expected[] = {200, 100, 50};
  for (size_t i = 0; i < picture.pixels.size(); ++i) CHECK_TRUE(std::abs(picture.pixels[i] - expected[i % 3]) <= 2);
}

TEST(Pictures, TruncatedAnywhere) {
  Picture picture;
  for (const std::string& path : {kPng, kJpeg}) {
    const std::string whole = Content(path);
    for (size_t length = 0; length < whole.size(); ++length) {
      CHECK_TRUE(Decode(whole.substr(0, length), &picture).exit_code() == 2);
    }
  }
}

// Whatever a damaged byte does, it does not crash or read outside (the sanitizers would tell).
TEST(Pictures, DamagedAnywhere) {
  Picture picture;
  for (const std::string& path : {kPng, kJpeg}) {
    std::string bytes = Content(path);
    for (char& byte : bytes) {
      const char before = byte;
      byte = static_cast<char>(~before);
      (void)Decode(bytes, &picture).ok();
      byte = before;
    }
  }
}

TEST(Pictures, Refusals) {
  Picture picture;
  CHECK_STATUS(Decode("", &picture), 2, "the file is empty");
  CHECK_STATUS(Decode("BM picture", &picture), 2, "neither PNG nor JPEG");
  CHECK_STATUS(PictureReader().Read(TestFile("bad.png", "text"), &picture), 2, "bad.png: the picture cannot be read");
  if (!ocrnet::HaveJpeg()) return;
  // Height and width stand 5 bytes behind the frame's marker.
  std::string huge = Content(kJpeg);
  huge.replace(huge.find("\xff\xc0") + 5, 4, "\xff\xdc\xff\xdc");
  CHECK_STATUS(Decode(huge, &picture), 2, "65500 x 65500 pixels; at most");
}

TEST(Pictures, ChecksumsOfAPng) {
  if (!ocrnet::HavePng()) return;
  Picture picture;
  // A text chunk "a\0b" with its checksum, behind the header's chunk.
  const std::string chunk("\0\0\0\3tEXta\0b\xdc\x49\xa2\x3b", 15);
  std::string bytes = Content(kPng);
  bytes.insert(33, chunk);
  CHECK_OK(Decode(bytes, &picture));
  bytes[33 + 14] ^= 1;
  CHECK_STATUS(Decode(bytes, &picture), 2, "CRC");
  // Behind the pixels, before the end's chunk of 12 bytes, it does not count; eval.py reads such a file, too.
  const std::string damaged = bytes.substr(33, 15);
  bytes = Content(kPng);
  bytes.insert(bytes.size() - 12, damaged);
  CHECK_OK(Decode(bytes, &picture));
}

TEST(Pictures, SizesThatLie) {
  Picture picture;
  CHECK_STATUS(ocrnet::AllocatePicture(1 << 20, 1 << 20, &picture), 2, "at most 178956970");
  CHECK_STATUS(ocrnet::AllocatePicture(0, 5, &picture), 2, "0 x 5");
  CHECK_TRUE(picture.pixels.empty());
  if (!ocrnet::HavePng()) return;
  // 13000 x 13000 pixels in 184 bytes: the header's checksum is right, its size cannot be.
  const std::string header =
      "\x89PNG\r\n\x1a\n" + std::string("\0\0\0\x0dIHDR\0\0\x32\xc8\0\0\x32\xc8\x08\x02\0\0\0m\xc0\x7fo", 25);
  const Status status = Decode(header + Content(kPng).substr(33), &picture);
  CHECK_TRUE(!status.ok() && picture.pixels.empty());
}

TEST(Pictures, MaskReadBack) {
  if (!ocrnet::HavePng()) return;
  const std::vector<uint8_t> labels = {0, 1, 2, 1, 255, 3};
  const std::vector<ocrnet::Color> palette = {{10, 20, 30}, {40, 50, 60}, {70, 80, 90}};
  std::vector<uint8_t> png;
  CHECK_OK(ocrnet::EncodeMask({labels.data(), 2, 3}, palette, 1, &png));
  CHECK_EQUAL(int{png[24]}, 8);  // bits
  CHECK_EQUAL(int{png[25]}, 3);  // a palette
  Picture picture;
  CHECK_OK(ocrnet::DecodePng(png.data(), png.size(), &picture));
  // The ignored class 1, and values that are no class, are black.
  const std::vector<uint8_t> expected = {10, 20, 30, 0, 0, 0, 70, 80, 90, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK_TRUE(picture.height == 2 && picture.width == 3 && picture.pixels == expected);
}

// Weights of 11 bits: from 2 to 4 pixels they are 1/4 and 3/4.
TEST(Preprocess, ResizeByHand) {
  CHECK_TRUE((Resized(1, 2, {0, 100}, 1, 4) == std::vector<int>{0, 25, 75, 100}));
  CHECK_TRUE((Resized(2, 1, {0, 100}, 4, 1) == std::vector<int>{0, 25, 75, 100}));
  CHECK_TRUE((Resized(1, 1, {7}, 2, 3) == std::vector<int>(6, 7)));
  // Half the size both ways: means of 2 x 2, (1 + 2 + 3 + 4 + 2) >> 2 and (9 + 9 + 8 + 8 + 2) >> 2.
  CHECK_TRUE((Resized(2, 4, {1, 2, 9, 9, 3, 4, 8, 8}, 1, 2) == std::vector<int>{3, 9}));
  CHECK_TRUE((Resized(1, 3, {0, 60, 120}, 1, 1) == std::vector<int>{60}));
}

TEST(Preprocess, Normalizes) {
  const Picture picture = MakePicture(1, 2, {0, 51, 102, 255, 204, 153});
  std::vector<float> sample(6);
  ocrnet::Preprocessor(Input(1, 2, ocrnet::DType::kFloat32, "RGB")).Run(picture, sample.data());
  const std::vector<float> rgb = {-1, 1, -0.05f, 0.55f, 0.2f, 0.3f};
  for (size_t i = 0; i < 6; ++i) CHECK_TRUE(std::fabs(sample[i] - rgb[i]) < 1e-6f);
  ocrnet::Preprocessor(Input(1, 2, ocrnet::DType::kFloat32, "BGR")).Run(picture, sample.data());
  const std::vector<float> bgr = {-0.2f, 0.2f, -0.05f, 0.55f, 0, 0.5f};
  for (size_t i = 0; i < 6; ++i) CHECK_TRUE(std::fabs(sample[i] - bgr[i]) < 1e-6f);
}

TEST(Preprocess, Uint8IsOnlyPlanar) {
  std::vector<uint8_t> sample(6);
  const Picture picture = MakePicture(1, 2, {1, 2, 3, 4, 5, 6});
  ocrnet::Preprocessor(Input(1, 2, ocrnet::DType::kUint8, "BGR")).Run(picture, sample.data());
  CHECK_TRUE((sample == std::vector<uint8_t>{3, 6, 2, 5, 1, 4}));
}

TEST(Golden, Tensor) {
  if (!ocrnet::HavePng()) return;
  const ocrnet::Json golden = ocrnet_test::ReadGolden();
  const std::vector<float> expected = ocrnet_test::GoldenFloats(golden, "tensor");
  ocrnet::InputSpec spec;
  CHECK_OK(golden.Find("input")->Get("shape", &spec.tensor.shape));
  CHECK_OK(ocrnet::ReadNormalization(*golden.Find("input"), &spec));
  Picture picture;
  CHECK_OK(PictureReader().Read(kPng, &picture));
  std::vector<float> sample(spec.sample_bytes() / sizeof(float));
  ocrnet::Preprocessor(spec).Run(picture, sample.data());
  CHECK_EQUAL(sample.size(), expected.size());
  for (size_t i = 0; i < sample.size(); ++i) CHECK_TRUE(std::fabs(sample[i] - expected[i]) < 1e-6f);
}
