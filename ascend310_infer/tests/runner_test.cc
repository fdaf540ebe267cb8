// The whole program with a back end that needs no SDK: the golden picture in, labels, logits and masks out.
#include "inc/runner.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>

#include "inc/manifest.h"
#include "inc/mask_png.h"
#include "inc/picture.h"
#include "tests/fixtures.h"

using ocrnet::Json;
using ocrnet::Options;
using ocrnet::Status;
using ocrnet_test::Content;
using ocrnet_test::IndexText;
using ocrnet_test::Replaced;
using ocrnet_test::SampleText;
using ocrnet_test::TestFile;
using ocrnet_test::TestFolder;

namespace {

// Gives the golden logits for every sample that is the golden tensor, and zeros for others.
class FakeEngine : public ocrnet::Engine {
 public:
  explicit FakeEngine(int64_t batch) : batch_(batch) {
    const Json golden = ocrnet_test::ReadGolden();
    tensor_ = ocrnet_test::GoldenFloats(golden, "tensor");
    logits_ = ocrnet_test::GoldenFloats(golden, "logits");
  }
  ocrnet::TensorSpec input() const override { return {ocrnet::DType::kFloat32, {batch_, 3, 16, 20}}; }
  ocrnet::TensorSpec output() const override { return {ocrnet::DType::kFloat32, {batch_, 4, 4, 5}}; }
  int num_threads() const override { return 1; }
  Status Run(size_t, const void* input, void* output) override {
    const float* in = static_cast<const float*>(input);
    float* out = static_cast<float*>(output);
    for (int64_t i = 0; i < batch_; ++i, in += tensor_.size(), out += logits_.size()) {
      bool same = true;
      for (size_t k = 0; k < tensor_.size(); ++k)
        same = same && in[k] - tensor_[k] < 1e-6f && tensor_[k] - in[k] < 1e-6f;
      for (size_t k = 0; k < logits_.size(); ++k) out[k] = same ? logits_[k] : 0;
    }
    return Status::Ok();
  }

 private:
  int64_t batch_;
  std::vector<float> tensor_;
  std::vector<float> logits_;
};

// Stands for either library.
class FakeBackend : public ocrnet::Backend {
 public:
  FakeBackend(const std::string& name, int64_t batch) : name_(name), batch_(batch) {}
  std::string Version() const override { return "Fake 1.0"; }
  bool HasBf16(const ocrnet::EngineOptions&) const override { return false; }
  Status CheckModel(const std::string& model_path) const override {
    return name_ == "lite" ? ocrnet::CheckMindIrVersion(model_path, 1, Version()) : Status::Ok();
  }
  Status Load(const ocrnet::EngineOptions& options, std::unique_ptr<ocrnet::Engine>* out) const override {
    if (options.device_type != "CPU") return Status::UserError("no such device");
    *out = std::make_unique<FakeEngine>(batch_);
    return Status::Ok();
  }

 private:
  std::string name_;
  int64_t batch_;
};

ocrnet::Backends Fakes(int64_t batch = 1) {
  ocrnet::Backends backends;
  for (const char* name : {"lite", "openvino"}) {
    const auto backend = std::make_shared<FakeBackend>(name, batch);
    backends.push_back({name, [backend](const ocrnet::Backend** out) {
                          *out = backend.get();
                          return Status::Ok();
                        }});
  }
  return backends;
}

Status Run(const Options& options, int64_t batch = 1) {
  return ocrnet::Run(options, Fakes(batch), ocrnet::Processor());
}

Options GoodOptions(const std::string& data) {
  Options options;
  options.model_path = TestFolder() + "m.mindir";
  options.dataset_path = data;
  options.result_path = TestFolder() + "r";
  return options;
}

// Writes an index of samples, all with the golden tensor as their input.
std::string WriteBinaries(const std::vector<std::string>& names) {
  const std::vector<float> tensor = ocrnet_test::GoldenFloats(ocrnet_test::ReadGolden(), "tensor");
  const std::string bytes(reinterpret_cast<const char*>(tensor.data()), tensor.size() * sizeof(float));
  std::string samples;
  for (const std::string& name : names) {
    TestFile("d/inputs/" + name + ".bin", bytes);
    samples += (samples.empty() ? "" : ", ") + SampleText(name);
  }
  TestFile("d/index.json", IndexText(samples));
  return TestFolder() + "d";
}

std::string GoldenMask() {
  const Json golden = ocrnet_test::ReadGolden();
  std::vector<std::string> rows;
  CHECK_OK(golden.Find("masks")->items()[0].Get("rows", &rows));  // align_corners, as in the fixture's manifest
  std::string labels;
  for (const std::string& row : rows) {
    for (char digit : row) labels += static_cast<char>(digit - '0');
  }
  return labels;
}

Json ReadResult() {
  Json json;
  CHECK_OK(Json::Parse(Content(TestFolder() + "r/result.json"), &json));
  return json;
}

bool HasResult() { return std::filesystem::exists(TestFolder() + "r/result.json"); }

void CopyPicture(const std::string& name) { TestFile("p/" + name, Content(OCRNET_GOLDEN "/picture.png")); }

}  // namespace

TEST(Runner, BinariesToLabels) {
  for (int batch : {1, 2}) {
    ocrnet_test::WriteModel(batch);
    CHECK_OK(Run(GoodOptions(WriteBinaries({"b", "a", "c"})), batch));
    for (const char* name : {"a", "b", "c"}) CHECK_TRUE(Content(TestFolder() + "r/" + name + ".bin") == GoldenMask());
    const Json result = ReadResult();
    CHECK_EQUAL(result.Find("samples")->items().size(), 3);
    CHECK_EQUAL(result.Find("samples")->items()[0].Find("file")->string(), "b.bin");
    CHECK_EQUAL(result.Find("output")->Find("kind")->string(), "labels");
    CHECK_TRUE(result.Find("skipped")->items().empty());
  }
  size_t num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TestFolder() + "r")) num_files += entry.exists();
  CHECK_EQUAL(num_files, 4);
}

TEST(Runner, ABatchForAModelThatTakesAny) {
  ocrnet_test::WriteModel();
  TestFile("m.json", Replaced(Replaced(Content(TestFolder() + "m.json"), "\"lite2\"", "\"onnx\""), "\"layout\"",
                              "\"dynamic\": [\"batch\"], \"layout\""));
  Options options = GoodOptions(WriteBinaries({"a", "b", "c"}));
  options.batch = 2;
  CHECK_OK(Run(options, 2));
  for (const char* name : {"a", "b", "c"}) CHECK_TRUE(Content(TestFolder() + "r/" + name + ".bin") == GoldenMask());
  options.batch = 0;
  CHECK_OK(Run(options, 1));
}

TEST(Runner, BinariesToLogits) {
  ocrnet_test::WriteModel();
  Options options = GoodOptions(WriteBinaries({"a"}));
  options.outputs = "logits";
  CHECK_OK(Run(options));
  const std::vector<float> logits = ocrnet_test::GoldenFloats(ocrnet_test::ReadGolden(), "logits");
  const std::string written = Content(TestFolder() + "r/a.bin");
  CHECK_TRUE(written.size() == logits.size() * 4 && std::memcmp(written.data(), logits.data(), written.size()) == 0);
  CHECK_EQUAL(ReadResult().Find("output")->Find("kind")->string(), "logits");
}

TEST(Runner, PicturesToMasks) {
  if (!ocrnet::HavePng()) return;
  ocrnet_test::WriteModel();
  CopyPicture("x.png");
  CHECK_OK(Run(GoodOptions(TestFolder() + "p")));
  ocrnet::Picture mask;
  CHECK_OK(ocrnet::PictureReader().Read(TestFolder() + "r/x.png", &mask));
  const std::string labels = GoldenMask();
  const int red[] = {1, 128, 0, 9};  // of the fixture's palette
  CHECK_EQUAL(mask.pixels.size(), labels.size() * 3);
  for (size_t i = 0; i < labels.size(); ++i) CHECK_TRUE(mask.pixels[3 * i] == red[static_cast<int>(labels[i])]);
  CHECK_EQUAL(ReadResult().Find("samples")->items()[0].Find("height")->number(), 17.0);
}

TEST(Runner, MasksNeverReplacePictures) {
  if (!ocrnet::HavePng()) return;
  ocrnet_test::WriteModel();
  CopyPicture("x.png");
  Options options = GoodOptions(TestFolder() + "p");
  options.result_path = TestFolder() + "p/../p";
  CHECK_STATUS(Run(options), 2, "results would replace the inputs");
  options.dataset_path += "/x.png";
  CHECK_STATUS(Run(options), 2, "results would replace the inputs");
  // Nor a picture that a link leads to.
  std::filesystem::create_directories(TestFolder() + "links");
  std::filesystem::create_symlink(TestFolder() + "p/x.png", TestFolder() + "links/x.png");
  options.dataset_path = TestFolder() + "links";
  CHECK_STATUS(Run(options), 2, "results would replace the inputs");
}

TEST(Runner, ResultsNeverReplaceWhatIsRead) {
  ocrnet_test::WriteModel();
  Options options = GoodOptions(WriteBinaries({"a"}));
  const std::string input = Content(TestFolder() + "d/inputs/a.bin");
  std::filesystem::create_directories(TestFolder() + "d/labels");
  for (const char* folder : {"d", "d/", "d/inputs", "d/labels", "d/inputs/.."}) {
    options.result_path = TestFolder() + folder;
    CHECK_STATUS(Run(options), 2, "results would replace the inputs");
  }
  CHECK_TRUE(Content(TestFolder() + "d/inputs/a.bin") == input);
  options.manifest = TestFile("r/result.json", Content(TestFolder() + "m.json"));
  options.result_path = TestFolder() + "r";
  CHECK_STATUS(Run(options), 2, "a result would replace");
  options.manifest = "";
  CHECK_STATUS(Run(options), 2, "not written by this program");
  CHECK_EQUAL(Content(TestFolder() + "r/result.json"), Content(TestFolder() + "m.json"));
}

TEST(Runner, AFailedRunLeavesNoResultThatLooksWhole) {
  ocrnet_test::WriteModel();
  Options options = GoodOptions(WriteBinaries({"a", "b"}));
  CHECK_OK(Run(options));
  const std::string result = Content(TestFolder() + "r/result.json");
  options.device_type = "Ascend";  // fails before there is anything to write: the earlier result stays as it is
  CHECK_STATUS(Run(options), 2, "no such device");
  CHECK_TRUE(Content(TestFolder() + "r/result.json") == result && Content(TestFolder() + "r/a.bin") == GoldenMask());
  options.device_type = "CPU";
  WriteBinaries({"c", "d"});
  std::filesystem::create_directories(TestFolder() + "r/d.bin/in");  // cannot be replaced by a file
  CHECK_STATUS(Run(options), 2, "d.bin: cannot be written");
  CHECK_TRUE(!HasResult() && std::filesystem::exists(TestFolder() + "r/.unfinished"));
  CHECK_TRUE(!std::filesystem::exists(TestFolder() + "r/a.bin") && !std::filesystem::exists(TestFolder() + "r/b.bin"));
}

TEST(Runner, ABadPictureAmongGoodOnes) {
  if (!ocrnet::HavePng()) return;
  ocrnet_test::WriteModel();
  CopyPicture("a.png");
  CopyPicture("c.png");
  TestFile("p/b.png", "no picture");
  Options options = GoodOptions(TestFolder() + "p");
  CHECK_STATUS(Run(options), 2, "b.png: the picture cannot be read");
  CHECK_TRUE(!HasResult());
  options.keep_going = true;
  CHECK_STATUS(Run(options), 1, "1 of 3 inputs were skipped");
  CHECK_EQUAL(ReadResult().Find("samples")->items().size(), 2);
  CHECK_EQUAL(ReadResult().Find("skipped")->items()[0].Find("name")->string(), "b");
}

TEST(Runner, ABinaryOfTheWrongSize) {
  ocrnet_test::WriteModel();
  Options options = GoodOptions(WriteBinaries({"a", "b"}));
  TestFile("d/inputs/b.bin", "short");
  CHECK_STATUS(Run(options), 2, "b.bin: 5 bytes, expected 3840");
  CHECK_TRUE(!std::filesystem::exists(TestFolder() + "r"));
  options.keep_going = true;
  CHECK_STATUS(Run(options), 1, "b.bin: 5 bytes");
  CHECK_EQUAL(ReadResult().Find("samples")->items().size(), 1);
}

TEST(Runner, AModelThatIsAnother) {
  ocrnet_test::WriteModel();
  const Options options = GoodOptions(WriteBinaries({"a"}));
  CHECK_STATUS(Run(options, 2), 2, "takes (2, 3, 16, 20) float32, but its manifest says (1,");
  CHECK_TRUE(!HasResult());
  TestFile("m.mindir", "other");
  CHECK_STATUS(Run(options), 2, "truncated, damaged or another one");
  ocrnet_test::WriteModel(1, std::string("\x68\x03", 2));
  CHECK_STATUS(Run(options), 2, "python -m src.deploy.lower IN OUT");
  std::filesystem::remove(TestFolder() + "m.mindir");
  CHECK_STATUS(Run(options), 2, "m.mindir: no such model file");
}

TEST(Runner, OptionsThatDoNotFitTheModel) {
  ocrnet_test::WriteModel();
  Options options = GoodOptions(WriteBinaries({"a"}));
  options.batch = 2;
  CHECK_STATUS(Run(options), 2, "--batch 2: m.mindir was exported with --batch 1");
  options.batch = 1;
  options.device_type = "Ascend";
  CHECK_STATUS(Run(options), 2, "no such device");
  options.device_type = "CPU";
  options.result_path = TestFile("file", "") + "/r";
  CHECK_STATUS(Run(options), 2, "choose another --result_path");
}

TEST(Runner, ExitStatus) {
  const ocrnet::Backends backends = Fakes();
  CHECK_EQUAL(ocrnet::Main({"--version"}, backends), 0);
  CHECK_EQUAL(ocrnet::Main({"--help"}, backends), 0);
  CHECK_EQUAL(ocrnet::Main({"--version", "--backend", "openvino"}, backends), 0);
  CHECK_EQUAL(ocrnet::Main({"--version", "--backend", "lite"}, {backends[1]}), 2);
  CHECK_EQUAL(ocrnet::Main({}, backends), 2);
}

TEST(Runner, ALogThatCannotBeWritten) {
  if (access("/dev/full", W_OK) != 0) return;
  std::fflush(stdout);
  const int log = dup(STDOUT_FILENO);
  const int full = open("/dev/full", O_WRONLY);
  dup2(full, STDOUT_FILENO);
  const int status = ocrnet::Main({"--version"}, Fakes());
  dup2(log, STDOUT_FILENO);
  close(log);
  close(full);
  std::clearerr(stdout);
  CHECK_EQUAL(status, 1);
}
