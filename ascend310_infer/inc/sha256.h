// SHA-256 (FIPS 180-4), for the check that a manifest belongs to a model.
#ifndef OCRNET_INC_SHA256_H_
#define OCRNET_INC_SHA256_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ocrnet {

class Sha256 {
 public:
  void Update(const void* data, size_t size);
  // Returns the digest as 64 lower-case hexadecimal digits. Nothing may be added afterwards.
  std::string HexDigest();

 private:
  void AddBlock(const uint8_t* block);

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};
  size_t num_pending_ = 0;
  uint64_t num_bytes_ = 0;
};

}  // namespace ocrnet

#endif  // OCRNET_INC_SHA256_H_
