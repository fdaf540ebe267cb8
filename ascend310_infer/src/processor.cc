#include "inc/processor.h"

#include <fstream>
#include <sstream>

namespace ocrnet {
namespace {

// Returns what follows "KEY\t: " in the first line of that key.
std::string FirstValue(const std::string& cpuinfo, const std::string& key) {
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    const size_t end = line.find_first_of("\t:");
    if (colon != std::string::npos && line.compare(0, end, key) == 0) return line.substr(colon + 2);
  }
  return "";
}

}  // namespace

const char* PrecisionName(Precision precision) {
  return precision == Precision::kFp32 ? "fp32" : precision == Precision::kBf16 ? "bf16" : "int8";
}

Processor Processor::Parse(const std::string& cpuinfo) {
  Processor processor;
  const std::string name = FirstValue(cpuinfo, "model name");
  if (!name.empty()) processor.name_ = name;
  std::istringstream flags(FirstValue(cpuinfo, "flags"));
  for (std::string flag; flags >> flag;) processor.flags_.insert(flag);
  return processor;
}

Processor Processor::Here() {
  std::ifstream file("/proc/cpuinfo");
  std::ostringstream text;
  text << file.rdbuf();
  return Parse(text.str());
}

bool Processor::HasAvx512() const {
  for (const char* flag : {"avx512f", "avx512bw", "avx512dq", "avx512vl"}) {
    if (!Has(flag)) return false;
  }
  return true;
}

bool Processor::HasBf16() const { return Has("amx_bf16") || (HasAvx512() && Has("avx512_bf16")); }

std::string Processor::Instructions(Precision precision) const {
  const std::string usual = HasAvx512() ? "AVX-512" : Has("avx2") ? "AVX2" : Has("sse2") ? "SSE" : "";
  switch (precision) {
    case Precision::kFp32:
      return usual;
    case Precision::kBf16:
      if (Has("amx_bf16")) return "AMX";
      if (HasBf16()) return "AVX-512 with BF16";
      if (HasAvx512()) return "AVX-512 without BF16, hardly faster than fp32";
      return Has("avx_ne_convert") ? "AVX2 and conversions, hardly faster than fp32" : "";
    case Precision::kInt8:
      if (Has("amx_int8")) return "AMX";
      if (HasAvx512() && Has("avx512_vnni")) return "AVX-512 VNNI";
      if (Has("avx_vnni")) return "AVX-VNNI";
      return usual.empty() ? "" : usual + ", without dot products of bytes";
  }
  return "";
}

}  // namespace ocrnet
