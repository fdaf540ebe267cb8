#include "inc/picture.h"

#include <cstring>

#include "inc/files.h"

namespace ocrnet {
namespace {

constexpr uint64_t kMaxPictureBytes = uint64_t{1} << 30;
constexpr uint8_t kPngSignature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr uint8_t kJpegSignature[] = {0xff, 0xd8, 0xff};

}  // namespace

Status DecodePicture(const uint8_t* data, size_t size, Picture* out) {
  const auto starts_with = [data, size](const uint8_t* signature, size_t length) {
    return size >= length && std::memcmp(data, signature, length) == 0;
  };
  if (starts_with(kPngSignature, sizeof(kPngSignature))) return DecodePng(data, size, out);
  if (starts_with(kJpegSignature, sizeof(kJpegSignature))) return DecodeJpeg(data, size, out);
  return Status::UserError(size == 0 ? "the file is empty" : "neither PNG nor JPEG");
}

Status AllocatePicture(uint64_t width, uint64_t height, Picture* out) {
  if (width == 0 || height == 0 || height > kMaxPicturePixels / width) {
    return Status::UserError(std::to_string(width) + " x " + std::to_string(height) + " pixels; at most " +
                             std::to_string(kMaxPicturePixels) + " are taken");
  }
  out->width = static_cast<int>(width);
  out->height = static_cast<int>(height);
  out->pixels.resize(static_cast<size_t>(width * height * 3));
  return Status::Ok();
}

Status PictureReader::Read(const std::string& path, Picture* out) {
  OCRNET_RETURN_IF_ERROR(ReadFile(path, kMaxPictureBytes, &file_));
  const Status status = DecodePicture(file_.data(), file_.size(), out);
  if (status.ok()) return status;
  return Status::UserError(path + ": the picture cannot be read: " + status.message() +
                           "; replace the file or take it away");
}

}  // namespace ocrnet
