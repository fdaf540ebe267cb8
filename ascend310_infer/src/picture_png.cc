// Reading and writing of PNG files by the system's libpng.
#include <algorithm>
#include <cstring>
#include <vector>

#include "inc/mask_png.h"
#include "inc/picture.h"

#ifdef OCRNET_HAVE_PNG

#include <png.h>
#include <zlib.h>

namespace ocrnet {
namespace {

// zlib makes at most 1032 bytes of one, so that a small file cannot claim a large picture.
constexpr uint64_t kMaxInflation = 1032;
constexpr int kMaskCompression = 1;  // zlib's level: masks have few colours in large areas and shrink at any level

// What libpng's callbacks see; libpng is left by longjmp, so that nothing here may need a destructor on the way.
struct PngState {
  const uint8_t* data = nullptr;
  size_t left = 0;
  std::vector<uint8_t>* written = nullptr;
  char message[128] = "damaged";
};

void OnError(png_structp png, png_const_charp message) {
  PngState* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::strncpy(state->message, message, sizeof(state->message) - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep out, size_t size) {
  PngState* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (size > state->left) png_error(png, "the file is truncated");
  std::memcpy(out, state->data, size);
  state->data += size;
  state->left -= size;
}

void OnWrite(png_structp png, png_bytep data, size_t size) {
  std::vector<uint8_t>* written = static_cast<PngState*>(png_get_io_ptr(png))->written;
  written->insert(written->end(), data, data + size);
}

void OnFlush(png_structp) {}

// Owns libpng's reading structures.
struct PngReader {
  explicit PngReader(PngState* state) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, state, OnError, OnWarning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

// Owns libpng's writing structures.
struct PngWriter {
  explicit PngWriter(PngState* state) {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, state, OnError, OnWarning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

// The steps below hold no object with a destructor: they are left by longjmp on errors and then return false.

bool ReadHeader(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  // By default a damaged chunk that is not needed would be passed over; eval.py refuses such a file, unless the chunk
  // stands behind the pixels.
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_read_info(png, info);
  return true;
}

bool AskForRgb8(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_expand(png);  // palettes to RGB, few grey bits to 8, a transparent colour to alpha, which goes below
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return png_get_rowbytes(png, info) == size_t{png_get_image_width(png, info)} * 3;
}

bool ReadRows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  png_read_end(png, nullptr);
  return true;
}

bool WriteMask(png_structp png, png_infop info, const MaskImage& mask, png_colorp palette, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_compression_level(png, kMaskCompression);
  png_set_filter(png, 0, PNG_FILTER_NONE);
  png_set_IHDR(png, info, static_cast<png_uint_32>(mask.width), static_cast<png_uint_32>(mask.height), 8,
               PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_PLTE(png, info, palette, 256);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, nullptr);
  return true;
}

Status CheckHeader(const PngReader& reader, size_t file_size) {
  const uint64_t height = png_get_image_height(reader.png, reader.info);
  const uint64_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  if (png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_GRAY &&
      png_get_bit_depth(reader.png, reader.info) == 16) {
    return Status::UserError("16-bit grey values; convert it to 8 bits");
  }
  if (row_bytes > file_size * kMaxInflation / height) return Status::UserError("the file is truncated");
  return Status::Ok();
}

}  // namespace

bool HavePng() { return true; }

Status DecodePng(const uint8_t* data, size_t size, Picture* out) {
  PngState state;
  state.data = data;
  state.left = size;
  PngReader reader(&state);
  if (reader.info == nullptr) return Status::WorkFailed("out of memory");
  png_set_read_fn(reader.png, &state, OnRead);
  png_set_user_limits(reader.png, kMaxPicturePixels, kMaxPicturePixels);
  if (!ReadHeader(reader.png, reader.info)) return Status::UserError(state.message);
  // The size is looked at first: it bounds what the other checks multiply.
  const uint64_t width = png_get_image_width(reader.png, reader.info);
  const uint64_t height = png_get_image_height(reader.png, reader.info);
  if (width <= kMaxPicturePixels / height) OCRNET_RETURN_IF_ERROR(CheckHeader(reader, size));
  OCRNET_RETURN_IF_ERROR(AllocatePicture(width, height, out));
  if (!AskForRgb8(reader.png, reader.info)) return Status::UserError(state.message);
  std::vector<png_bytep> rows(static_cast<size_t>(height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = out->pixels.data() + y * static_cast<size_t>(width) * 3;
  return ReadRows(reader.png, rows.data()) ? Status::Ok() : Status::UserError(state.message);
}

Status EncodeMask(const MaskImage& mask, const std::vector<Color>& palette, int ignore_label,
                  std::vector<uint8_t>* out) {
  out->clear();
  PngState state;
  state.written = out;
  PngWriter writer(&state);
  if (writer.info == nullptr) return Status::WorkFailed("out of memory");
  png_set_write_fn(writer.png, &state, OnWrite, OnFlush);
  png_color entries[256] = {};
  for (size_t i = 0; i < palette.size(); ++i) {
    if (static_cast<int>(i) != ignore_label) entries[i] = {palette[i][0], palette[i][1], palette[i][2]};
  }
  std::vector<png_bytep> rows(static_cast<size_t>(mask.height));
  for (size_t y = 0; y < rows.size(); ++y) {
    rows[y] = const_cast<uint8_t*>(mask.labels) + y * static_cast<size_t>(mask.width);  // libpng only reads them
  }
  return WriteMask(writer.png, writer.info, mask, entries, rows.data()) ? Status::Ok()
                                                                        : Status::WorkFailed(state.message);
}

}  // namespace ocrnet

#else  // OCRNET_HAVE_PNG

namespace ocrnet {

bool HavePng() { return false; }

Status DecodePng(const uint8_t*, size_t, Picture*) {
  return Status::UserError("this runner was built without libpng (install libpng-dev and build again)");
}

Status EncodeMask(const MaskImage&, const std::vector<Color>&, int, std::vector<uint8_t>*) {
  return Status::UserError("this runner was built without libpng (install libpng-dev and build again)");
}

}  // namespace ocrnet

#endif  // OCRNET_HAVE_PNG
