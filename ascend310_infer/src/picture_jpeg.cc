// Reading of JPEG files by the system's libjpeg.
#include "inc/picture.h"

#ifdef OCRNET_HAVE_JPEG

#include <csetjmp>
#include <cstdio>

// jpeglib.h uses FILE and size_t without including what defines them.
#include <jerror.h>
#include <jpeglib.h>

namespace ocrnet {
namespace {

struct JpegErrors {
  jpeg_error_mgr base;  // first: libjpeg hands back a pointer to it
  std::jmp_buf left;
  char message[JMSG_LENGTH_MAX];
};

void OnError(j_common_ptr info) {
  JpegErrors* errors = reinterpret_cast<JpegErrors*>(info->err);
  errors->base.format_message(info, errors->message);
  std::longjmp(errors->left, 1);
}

// libjpeg fills what is missing of a truncated file with grey and only warns; here that is an error.
void OnMessage(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)) OnError(info);
}

// Owns libjpeg's structure.
struct JpegReader {
  JpegReader() {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = OnError;
    errors.base.emit_message = OnMessage;
    errors.message[0] = '\0';
  }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  jpeg_decompress_struct info{};
  JpegErrors errors;
};

// The steps below hold no object with a destructor: they are left by longjmp on errors and then return false.

bool ReadHeader(JpegReader* reader, const uint8_t* data, size_t size) {
  if (setjmp(reader->errors.left)) return false;
  jpeg_create_decompress(&reader->info);
  jpeg_mem_src(&reader->info, const_cast<uint8_t*>(data), static_cast<unsigned long>(size));  // only read
  jpeg_read_header(&reader->info, TRUE);
  return true;
}

bool ReadRows(JpegReader* reader, uint8_t* pixels) {
  if (setjmp(reader->errors.left)) return false;
  reader->info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&reader->info);
  while (reader->info.output_scanline < reader->info.output_height) {
    JSAMPROW row = pixels + size_t{reader->info.output_scanline} * reader->info.output_width * 3;
    jpeg_read_scanlines(&reader->info, &row, 1);
  }
  jpeg_finish_decompress(&reader->info);
  return true;
}

}  // namespace

bool HaveJpeg() { return true; }

Status DecodeJpeg(const uint8_t* data, size_t size, Picture* out) {
  JpegReader reader;
  if (!ReadHeader(&reader, data, size)) return Status::UserError(reader.errors.message);
  if (reader.info.num_components != 1 && reader.info.num_components != 3) {
    return Status::UserError("a CMYK picture; convert it to RGB");
  }
  OCRNET_RETURN_IF_ERROR(AllocatePicture(reader.info.image_width, reader.info.image_height, out));
  return ReadRows(&reader, out->pixels.data()) ? Status::Ok() : Status::UserError(reader.errors.message);
}

}  // namespace ocrnet

#else  // OCRNET_HAVE_JPEG

namespace ocrnet {

bool HaveJpeg() { return false; }

Status DecodeJpeg(const uint8_t*, size_t, Picture*) {
  return Status::UserError("this runner was built without libjpeg (install libjpeg-dev and build again)");
}

}  // namespace ocrnet

#endif  // OCRNET_HAVE_JPEG
