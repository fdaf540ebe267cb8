// Reading whole files and writing files that are complete or absent.
#ifndef OCRNET_INC_FILES_H_
#define OCRNET_INC_FILES_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "inc/status.h"

namespace ocrnet {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
// An open file that is closed with its owner.
using File = std::unique_ptr<std::FILE, CloseFile>;

// Returns the size of a regular file in bytes.
Status FileSize(const std::string& path, uint64_t* size);

// Reads a whole file of at most max_size bytes into a buffer, whose memory is used again.
Status ReadFile(const std::string& path, uint64_t max_size, std::vector<uint8_t>* out);
Status ReadTextFile(const std::string& path, uint64_t max_size, std::string* out);

// Reads a file that must have exactly this size.
Status ReadExactly(const std::string& path, size_t size, void* out);

// Returns the SHA-256 of a file, hexadecimal, without holding the file in memory.
Status FileSha256(const std::string& path, std::string* hex);

// Writes a file under a temporary name beside it and renames it.
Status WriteFileAtomically(const std::string& path, const void* data, size_t size);

// A file that one process at a time holds. It ends with the object, or with the process however that ends.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

  // Makes the file where it is absent. Fails where another holder is.
  Status Acquire(const std::string& path);

 private:
  int descriptor_ = -1;
};

// Makes a folder with its parents and makes sure that files can be written there.
Status PrepareFolder(const std::string& path);

// Returns folder/name.
std::string JoinPath(const std::string& folder, const std::string& name);

}  // namespace ocrnet

#endif  // OCRNET_INC_FILES_H_
