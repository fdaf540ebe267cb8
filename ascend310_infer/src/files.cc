#include "inc/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "inc/sha256.h"

namespace ocrnet {
namespace {

namespace fs = std::filesystem;

Status CannotRead(const std::string& path) {
  return Status::UserError(path + ": cannot be read: " + std::strerror(errno));
}

Status CannotWrite(const std::string& path) {
  return Status::UserError(path + ": cannot be written: " + std::strerror(errno) +
                           "; choose another --result_path or free some space");
}

Status Open(const std::string& path, uint64_t max_size, File* file, uint64_t* size) {
  OCRNET_RETURN_IF_ERROR(FileSize(path, size));
  if (*size > max_size) {
    return Status::UserError(path + ": " + std::to_string(*size) + " bytes; at most " + std::to_string(max_size) +
                             " are taken");
  }
  file->reset(std::fopen(path.c_str(), "rb"));
  return *file ? Status::Ok() : CannotRead(path);
}

Status ReadInto(const std::string& path, std::FILE* file, void* out, size_t size) {
  if (size == 0 || std::fread(out, 1, size, file) == size) return Status::Ok();
  return std::ferror(file) ? CannotRead(path) : Status::UserError(path + ": became shorter while it was read");
}

}  // namespace

Status FileSize(const std::string& path, uint64_t* size) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return Status::UserError(path + ": no such file");
  if (error) return Status::UserError(path + ": cannot be read: " + error.message());
  if (!fs::is_regular_file(status)) return Status::UserError(path + ": not a file");
  *size = fs::file_size(path, error);
  return error ? Status::UserError(path + ": " + error.message()) : Status::Ok();
}

Status ReadFile(const std::string& path, uint64_t max_size, std::vector<uint8_t>* out) {
  File file;
  uint64_t size = 0;
  OCRNET_RETURN_IF_ERROR(Open(path, max_size, &file, &size));
  out->resize(static_cast<size_t>(size));
  return ReadInto(path, file.get(), out->data(), out->size());
}

Status ReadTextFile(const std::string& path, uint64_t max_size, std::string* out) {
  File file;
  uint64_t size = 0;
  OCRNET_RETURN_IF_ERROR(Open(path, max_size, &file, &size));
  out->resize(static_cast<size_t>(size));
  return ReadInto(path, file.get(), &(*out)[0], out->size());
}

Status ReadExactly(const std::string& path, size_t size, void* out) {
  File file;
  uint64_t found = 0;
  OCRNET_RETURN_IF_ERROR(Open(path, UINT64_MAX, &file, &found));
  if (found != size) {
    return Status::UserError(path + ": " + std::to_string(found) + " bytes, expected " + std::to_string(size) +
                             "; run preprocess.py again for this model");
  }
  return ReadInto(path, file.get(), out, size);
}

Status FileSha256(const std::string& path, std::string* hex) {
  File file;
  uint64_t size = 0;
  OCRNET_RETURN_IF_ERROR(Open(path, UINT64_MAX, &file, &size));
  Sha256 digest;
  std::vector<uint8_t> block(1 << 20);
  size_t read;
  while ((read = std::fread(block.data(), 1, block.size(), file.get())) > 0) digest.Update(block.data(), read);
  if (std::ferror(file.get())) return CannotRead(path);
  *hex = digest.HexDigest();
  return Status::Ok();
}

Status WriteFileAtomically(const std::string& path, const void* data, size_t size) {
  const std::string temporary = path + ".tmp";
  File file(std::fopen(temporary.c_str(), "wb"));
  if (!file) return CannotWrite(path);
  bool done = size == 0 || std::fwrite(data, 1, size, file.get()) == size;
  // A full disk may show only when the last bytes are flushed: closing is part of writing.
  done = std::fclose(file.release()) == 0 && done;
  if (done && std::rename(temporary.c_str(), path.c_str()) == 0) return Status::Ok();
  const Status failure = CannotWrite(path);
  std::remove(temporary.c_str());
  return failure;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

Status FileLock::Acquire(const std::string& path) {
  descriptor_ = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (descriptor_ < 0) return CannotWrite(path);
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return Status::Ok();
  return Status::UserError(path +
                           ": another run is at work in this folder; wait for it, or choose another --result_path");
}

Status PrepareFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error)) {
    return Status::UserError(path + ": the result folder cannot be made: " +
                             (error ? error.message() : "it is no folder") + "; choose another --result_path");
  }
  const std::string probe = JoinPath(path, ".writable");
  OCRNET_RETURN_IF_ERROR(WriteFileAtomically(probe, "", 0));
  std::remove(probe.c_str());
  return Status::Ok();
}

std::string JoinPath(const std::string& folder, const std::string& name) { return (fs::path(folder) / name).string(); }

}  // namespace ocrnet
