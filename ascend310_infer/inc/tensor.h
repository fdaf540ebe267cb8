// The type and shape of a tensor that goes into a model or comes out of it.
#ifndef OCRNET_INC_TENSOR_H_
#define OCRNET_INC_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ocrnet {

enum class DType { kFloat32, kUint8 };

inline const char* DTypeName(DType dtype) { return dtype == DType::kFloat32 ? "float32" : "uint8"; }
inline size_t DTypeSize(DType dtype) { return dtype == DType::kFloat32 ? 4 : 1; }

struct TensorSpec {
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;  // every side is at least 1

  size_t num_bytes() const {
    size_t bytes = DTypeSize(dtype);
    for (int64_t side : shape) bytes *= static_cast<size_t>(side);
    return bytes;
  }

  bool operator==(const TensorSpec& other) const { return dtype == other.dtype && shape == other.shape; }
  bool operator!=(const TensorSpec& other) const { return !(*this == other); }

  // Returns "(1, 3, 512, 1024) float32".
  std::string ToString() const {
    std::string text = "(";
    for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + ") " + DTypeName(dtype);
  }
};

}  // namespace ocrnet

#endif  // OCRNET_INC_TENSOR_H_
