// Which back end is taken, what is refused before a library sees the model, and what processors compute with.
#include "inc/backend_choice.h"
#include "inc/backend_module.h"
#include "tests/fixtures.h"

using ocrnet::Backend;
using ocrnet::EngineOptions;
using ocrnet::Manifest;
using ocrnet::Options;
using ocrnet::Precision;
using ocrnet::Processor;
using ocrnet::Status;

namespace {

const char kAvx512[] = " avx2 avx512f avx512bw avx512dq avx512vl";

Processor Cpu(const std::string& flags) {
  return Processor::Parse("processor\t: 0\nmodel name\t: A processor\nflags\t\t: fpu sse2" + flags +
                          "\n\nprocessor\t: 1\nmodel name\t: Another\nflags\t\t: amx_bf16\n");
}

std::string Instructions(const std::string& flags) {
  std::string text;
  for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kInt8}) {
    text += (text.empty() ? "" : " | ") + Cpu(flags).Instructions(precision);
  }
  return text;
}

// Cannot load a model.
class FakeBackend : public Backend {
 public:
  explicit FakeBackend(bool has_bf16) : has_bf16_(has_bf16) {}
  std::string Version() const override { return "Fake 1.0"; }
  bool HasBf16(const EngineOptions&) const override { return has_bf16_; }
  Status CheckModel(const std::string&) const override { return Status::Ok(); }
  Status Load(const EngineOptions&, std::unique_ptr<ocrnet::Engine>*) const override {
    return Status::WorkFailed("a fake");
  }

 private:
  bool has_bf16_;
};

ocrnet::BackendSource Fake(const std::string& name, bool has_bf16 = false) {
  const auto backend = std::make_shared<FakeBackend>(has_bf16);
  return {name, [backend](const Backend** out) {
            *out = backend.get();
            return Status::Ok();
          }};
}

// A choice to make: a model's kind and precision, and options.
struct Case {
  explicit Case(const std::string& kind, Precision precision = Precision::kFp32) {
    manifest.kind = kind;
    manifest.precision = precision;
    manifest.model_file = "m";
    options.model_path = "m";
  }

  Status Choose(bool has_bf16 = false) {
    const Backend* backend = nullptr;
    const Status status = ocrnet::ChooseBackend(options, manifest, {Fake("lite"), Fake("openvino", has_bf16)},
                                                Cpu(" avx2"), &backend, &engine);
    CHECK_TRUE(!status.ok() || backend != nullptr);
    return status;
  }

  Manifest manifest;
  Options options;
  EngineOptions engine;
};

}  // namespace

TEST(Processor, Instructions) {
  CHECK_EQUAL(Instructions(""), "SSE |  | SSE, without dot products of bytes");
  CHECK_EQUAL(Instructions(" avx2"), "AVX2 |  | AVX2, without dot products of bytes");
  CHECK_EQUAL(Instructions(" avx2 avx_vnni"), "AVX2 |  | AVX-VNNI");
  CHECK_EQUAL(Instructions(" avx2 avx_vnni avx_vnni_int8 avx_ne_convert"),
              "AVX2 | AVX2 and conversions, hardly faster than fp32 | AVX-VNNI");
  CHECK_EQUAL(Instructions(" avx2 avx512f"), "AVX2 |  | AVX2, without dot products of bytes");  // Xeon Phi
  CHECK_EQUAL(Instructions(kAvx512),
              "AVX-512 | AVX-512 without BF16, hardly faster than fp32 | AVX-512, without dot products of bytes");
  CHECK_EQUAL(Instructions(std::string(kAvx512) + " avx512_vnni"),
              "AVX-512 | AVX-512 without BF16, hardly faster than fp32 | AVX-512 VNNI");
  CHECK_EQUAL(Instructions(std::string(kAvx512) + " avx512_vnni avx512_bf16"),
              "AVX-512 | AVX-512 with BF16 | AVX-512 VNNI");
  CHECK_EQUAL(Instructions(std::string(kAvx512) + " avx512_vnni avx512_bf16 amx_tile amx_bf16 amx_int8"),
              "AVX-512 | AMX | AMX");
}

TEST(Processor, Bf16OfItsOwn) {
  CHECK_TRUE(!Cpu(kAvx512).HasBf16() && !Cpu(" avx512_bf16").HasBf16());
  CHECK_TRUE(Cpu(std::string(kAvx512) + " avx512_bf16").HasBf16() && Cpu(" amx_bf16").HasBf16());
}

TEST(Processor, Names) {
  CHECK_EQUAL(Cpu("").name(), "A processor");
  CHECK_EQUAL(Processor::Parse("").name(), "an unknown processor");
  const Processor arm = Processor::Parse("CPU implementer\t: 0x41\nFeatures\t: fp asimd\n");
  CHECK_EQUAL(arm.name(), "an unknown processor");
  for (Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kInt8}) {
    CHECK_EQUAL(arm.Instructions(precision), "");
  }
}

TEST(Backends, TheModelsKindDecides) {
  for (const char* kind : {"native", "lite2", "onnx", "openvino"}) {
    Case made(kind);
    CHECK_OK(made.Choose());
    CHECK_EQUAL(made.engine.backend, kind[0] == 'o' ? "openvino" : "lite");
    CHECK_TRUE(made.engine.precision == Precision::kFp32 && !made.engine.throughput);
    made.options.backend = kind[0] == 'o' ? "openvino" : "lite";
    CHECK_OK(made.Choose());
  }
  Case quantised("openvino", Precision::kInt8);
  quantised.options.mode = "throughput";
  quantised.options.streams = 3;
  quantised.options.threads = 2;
  quantised.options.device_type = "GPU";
  quantised.options.device_id = 1;
  CHECK_OK(quantised.Choose());
  CHECK_TRUE(quantised.engine.precision == Precision::kInt8 && quantised.engine.throughput &&
             quantised.engine.streams == 3 && quantised.engine.threads == 2 && quantised.engine.device_type == "GPU" &&
             quantised.engine.device_id == 1);
}

TEST(Backends, AModelOfTheOtherKind) {
  Case lite("onnx");
  lite.options.backend = "lite";
  CHECK_STATUS(lite.Choose(), 2, "--backend lite: m is of kind onnx, and MindSpore Lite takes MindIR here");
  Case openvino("lite2");
  openvino.options.backend = "openvino";
  CHECK_STATUS(openvino.Choose(), 2,
               "reads no MindIR; export it with --file_format ONNX, or convert a native one: "
               "python -m src.deploy.to_onnx IN OUT");
}

TEST(Backends, Precisions) {
  Case plain("onnx");
  plain.options.precision = "int8";
  CHECK_STATUS(plain.Choose(), 2, "m is not quantised; quantise it: python -m src.deploy.quantize");
  Case quantised("openvino", Precision::kInt8);
  for (const char* precision : {"fp32", "bf16"}) {
    quantised.options.precision = precision;
    CHECK_STATUS(quantised.Choose(true), 2, "m is quantised to int8; take --precision int8");
  }
  Case lite("lite2");
  for (const char* precision : {"bf16", "int8"}) {
    lite.options.precision = precision;
    CHECK_STATUS(lite.Choose(true), 2, std::string("--precision ") + precision + ": MindSpore Lite computes in fp32");
  }
}

TEST(Backends, Bf16NeedsAProcessorThatHasIt) {
  Case made("onnx");
  made.options.precision = "bf16";
  CHECK_STATUS(made.Choose(false), 2, "this processor (A processor) has neither AMX nor AVX-512, and");
  CHECK_OK(made.Choose(true));
  CHECK_TRUE(made.engine.precision == Precision::kBf16);
  made.options.device_type = "GPU";
  CHECK_STATUS(made.Choose(false), 2, "OpenVINO does not compute in it on --device_type GPU");
}

TEST(Backends, DevicesAndModes) {
  Case openvino("onnx");
  openvino.options.device_type = "Ascend";
  CHECK_STATUS(openvino.Choose(), 2, "--device_type Ascend: OpenVINO knows CPU and GPU alone");
  openvino.options.device_type = "CPU";
  openvino.options.streams = 2;
  CHECK_STATUS(openvino.Choose(), 2, "--streams 2: with --mode latency one inference runs at a time");
  openvino.options.streams = 1;
  CHECK_OK(openvino.Choose());
  Case lite("lite2");
  lite.options.device_type = "Ascend";
  CHECK_OK(lite.Choose());
  lite.options.streams = 2;
  CHECK_STATUS(lite.Choose(), 2, "--streams 2: MindSpore Lite runs one inference at a time");
  lite.options.mode = "throughput";
  CHECK_STATUS(lite.Choose(), 2, "--mode throughput: MindSpore Lite runs one inference at a time");
}

TEST(Backends, OnesThatTheBuildLacksOrThatDoNotLoad) {
  Case made("onnx");
  const Backend* backend = nullptr;
  EngineOptions engine;
  CHECK_STATUS(ocrnet::ChooseBackend(made.options, made.manifest, {Fake("lite")}, Cpu(""), &backend, &engine), 2,
               "--backend openvino: this build has lite alone; build it with OpenVINO: "
               "OPENVINO_HOME=\"$(bash scripts/fetch_openvino.sh)\" bash ascend310_infer/src/build.sh");
  CHECK_STATUS(ocrnet::ChooseBackend(made.options, made.manifest, {ocrnet::BackendModule("openvino")}, Cpu(""),
                                     &backend, &engine),
               2, "--backend openvino cannot be loaded: libocrnet_openvino.so: cannot open shared object file");
}

TEST(Backends, Descriptions) {
  std::string text;
  CHECK_OK(ocrnet::DescribeBackends({Fake("lite"), Fake("openvino")}, "", Cpu(" avx2"), &text));
  CHECK_EQUAL(text,
              "--backend lite: Fake 1.0, for MindIR; fp32\n"
              "--backend openvino: Fake 1.0, for ONNX and OpenVINO's own files; on this processor (A processor):\n"
              "  fp32, with AVX2\n"
              "  no bf16, for which it has neither AMX nor AVX-512\n"
              "  int8, with AVX2, without dot products of bytes; layers that are not quantised in fp32\n");
  CHECK_OK(ocrnet::DescribeBackends({Fake("openvino", true)}, "openvino", Cpu(" amx_bf16 amx_int8"), &text));
  CHECK_TRUE(text.find("  bf16, with AMX\n  int8, with AMX; layers that are not quantised in bf16\n") !=
             std::string::npos);
  CHECK_STATUS(ocrnet::DescribeBackends({Fake("openvino")}, "lite", Cpu(""), &text), 2, "this build has openvino");
  // One that does not load is told of, beside those that do.
  CHECK_OK(ocrnet::DescribeBackends({ocrnet::BackendModule("lite"), Fake("openvino")}, "", Cpu(""), &text));
  CHECK_TRUE(text.find("--backend lite cannot be loaded: ") == 0 &&
             text.find("\n--backend openvino: Fake") != std::string::npos);
  CHECK_STATUS(ocrnet::DescribeBackends({ocrnet::BackendModule("lite")}, "lite", Cpu(""), &text), 2,
               "cannot be loaded");
}

TEST(Backends, OldLibraries) {
  for (const char* good : {"2024.6.0", "2024.10", "2025.0.0", "2026.4.1"}) {
    CHECK_OK(ocrnet::CheckLibraryVersion("OpenVINO", good, "2024.6"));
  }
  for (const char* bad : {"2024.5.9", "2023.9", "", "custom"}) {
    CHECK_STATUS(ocrnet::CheckLibraryVersion("OpenVINO", bad, "2024.6"), 2, "is too old: expected 2024.6 or later");
  }
}
