// The precisions of inference, and which instructions a processor has for them.
#ifndef OCRNET_INC_PROCESSOR_H_
#define OCRNET_INC_PROCESSOR_H_

#include <set>
#include <string>

namespace ocrnet {

// In what the convolutions are computed. kInt8 is of quantised models alone.
enum class Precision { kFp32, kBf16, kInt8 };

// Returns "fp32", "bf16" or "int8".
const char* PrecisionName(Precision precision);

// A processor by the names that Linux gives its abilities; without any where it is not of x86-64.
class Processor {
 public:
  // Reads the text of /proc/cpuinfo.
  static Processor Parse(const std::string& cpuinfo);
  // Returns this machine's.
  static Processor Here();

  // Returns what the vendor calls it, "an unknown processor" where nobody says it.
  const std::string& name() const { return name_; }

  // Returns the best instructions for a precision, such as "AVX-512 VNNI", and where they bring nothing over fp32,
  // that. Empty: it cannot compute in this precision.
  std::string Instructions(Precision precision) const;

  // Returns whether it multiplies in bf16 itself, rather than by way of fp32.
  bool HasBf16() const;

 private:
  bool Has(const std::string& flag) const { return flags_.count(flag) != 0; }
  bool HasAvx512() const;

  std::string name_ = "an unknown processor";
  std::set<std::string> flags_;
};

}  // namespace ocrnet

#endif  // OCRNET_INC_PROCESSOR_H_
