// The manifest, the index and result.json.
#include <filesystem>
#include <set>

#include "inc/index.h"
#include "inc/json.h"
#include "inc/manifest.h"
#include "inc/result.h"
#include "inc/result_folder.h"
#include "tests/fixtures.h"

using ocrnet::Dataset;
using ocrnet::Json;
using ocrnet::Manifest;
using ocrnet::Status;
using ocrnet_test::IndexText;
using ocrnet_test::ManifestText;
using ocrnet_test::Replaced;
using ocrnet_test::SampleText;
using ocrnet_test::TestFile;
using ocrnet_test::TestFolder;

namespace {

Status ReadManifest(const std::string& text) {
  Manifest manifest;
  return Manifest::Read(TestFile("m.json", text), &manifest);
}

Manifest GoodManifest() {
  Manifest manifest;
  CHECK_OK(Manifest::Read(TestFile("m.json", ManifestText("00")), &manifest));
  return manifest;
}

Status OpenIndex(const std::string& text, Dataset* dataset, bool check_sizes = false) {
  TestFile("data/index.json", text);
  return ocrnet::OpenDataset(TestFolder() + "data", GoodManifest(), check_sizes, dataset);
}

// Returns a result.json of one sample a with this file.
std::string ResultText(const std::string& file) {
  Dataset dataset;
  CHECK_OK(OpenIndex(IndexText(SampleText("a")), &dataset));
  ocrnet::PipelineReport report;
  report.written = {{0, {17, 23}}};
  const ocrnet::ResultKind kind = ocrnet::ResultKind::kLabels;
  return Replaced(ocrnet::ResultJson(GoodManifest(), dataset, report, kind), "\"a.bin\"", "\"" + file + "\"");
}

// Returns the names in a folder, in order.
std::string Files(const std::string& name) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(TestFolder() + name)) {
    names.insert(entry.path().filename().string());
  }
  std::string text;
  for (const std::string& file : names) text += (text.empty() ? "" : " ") + file;
  return text;
}

}  // namespace

TEST(Manifest, Reads) {
  const Manifest manifest = GoodManifest();
  CHECK_EQUAL(manifest.input.tensor.ToString(), "(1, 3, 16, 20) float32");
  CHECK_EQUAL(manifest.input.sample_bytes(), 3 * 16 * 20 * 4);
  CHECK_EQUAL(manifest.input.color_order, "BGR");
  CHECK_EQUAL(manifest.input.std[2], 0.229);
  CHECK_EQUAL(manifest.output.tensor.ToString(), "(1, 4, 4, 5) float32");
  CHECK_TRUE(manifest.output.align_corners && !manifest.output.half_pixel_centers && !manifest.output.is_labels);
  CHECK_EQUAL(manifest.class_names[3], "car");
  CHECK_EQUAL(int{manifest.palette[1][0]}, 128);
  CHECK_EQUAL(ocrnet::ManifestPath("a.b/m.mindir"), "a.b/m.json");
}

TEST(Manifest, Mistakes) {
  const std::string good = ManifestText("00");
  const auto with = [&good](const char* part, const char* by) { return ReadManifest(Replaced(good, part, by)); };
  CHECK_STATUS(with("\"format\": 1", "\"format\": 2"), 2, "\"format\" is 2");
  CHECK_STATUS(with("\"lite2\"", "\"other\""), 2, "model: \"kind\"");
  CHECK_STATUS(with("\"sha256\"", "\"sha\""), 2, "\"sha256\" is missing");
  CHECK_STATUS(with("[1, 3, 16, 20]", "[1, 4, 16, 20]"), 2, "3 channels");
  CHECK_STATUS(with("[1, 3, 16, 20]", "[1, 3, 0, 20]"), 2, "shape");
  CHECK_STATUS(with("[1, 3, 16, 20]", "[1, 3, 1048576, 1048576]"), 2, "shape");
  CHECK_STATUS(with("[1, 3, 16, 20]", "[3, 16, 20]"), 2, "shape");
  CHECK_STATUS(with("\"float32\"", "\"float16\""), 2, "float16");
  CHECK_STATUS(with("\"BGR\"", "\"GBR\""), 2, "color_order");
  CHECK_STATUS(with("[0.225, 0.224, 0.229]", "[0, 1, 1]"), 2, "std");
  CHECK_STATUS(with("[0.225, 0.224, 0.229]", "[1, 1]"), 2, "std");
  CHECK_STATUS(with("\"kind\": \"logits\"", "\"kind\": \"labels\""), 2, "dtype");
  CHECK_STATUS(with("[1, 4, 4, 5]", "[1, 5, 4, 5]"), 2, "does not fit");
  CHECK_STATUS(with("[1, 4, 4, 5]", "[2, 4, 4, 5]"), 2, "does not fit");
  CHECK_STATUS(with("\"align_corners\": true", "\"align_corners\": 1"), 2, "true or false");
  CHECK_STATUS(with("[9, 9, 9]", "[9, 9, 256]"), 2, "palette");
  CHECK_STATUS(with("[9, 9, 9]", "[9, 9, 1.5]"), 2, "palette");
  CHECK_STATUS(with(", [9, 9, 9]", ""), 2, "3 colours for 4");
  CHECK_STATUS(with("\"ignore_label\": 255", "\"ignore_label\": 256"), 2, "ignore_label");
  CHECK_STATUS(ReadManifest("[]"), 2, "\"format\" is missing");
  CHECK_STATUS(ReadManifest("{"), 2, "not a manifest: line 1");
  Manifest manifest;
  CHECK_STATUS(Manifest::Read(TestFolder() + "none.json", &manifest), 2, "a manifest is needed");
}

TEST(Manifest, LabelsOfUint8NeedNoMean) {
  std::string text = Replaced(ManifestText("00"), "\"dtype\": \"float32\"", "\"dtype\": \"uint8\"");
  text = Replaced(text, "\"mean\": [0.406, 0.456, 0.485], \"std\": [0.225, 0.224, 0.229], ", "");
  text = Replaced(text, "\"kind\": \"logits\", \"shape\": [1, 4, 4, 5], \"dtype\": \"float32\"",
                  "\"kind\": \"labels\", \"shape\": [1, 16, 20], \"dtype\": \"uint8\"");
  CHECK_OK(ReadManifest(text));
  CHECK_STATUS(ReadManifest(Replaced(text, "[1, 16, 20]", "[1, 20, 16]")), 2, "does not fit");
}

TEST(Manifest, WhatEarlierOnesDoNotSay) {
  Manifest manifest;
  const auto read = [&manifest](const std::string& text) {
    return Manifest::Read(TestFile("m.json", text), &manifest);
  };
  const std::string text = ManifestText("00");
  CHECK_OK(read(text));
  CHECK_TRUE(manifest.precision == ocrnet::Precision::kFp32 && !manifest.input.is_batch_dynamic);
  const std::string onnx = Replaced(text, "\"lite2\"", "\"onnx\", \"precision\": \"fp32\"");
  CHECK_OK(read(Replaced(onnx, "\"layout\"", "\"dynamic\": [\"height\", \"batch\"], \"layout\"")));
  CHECK_TRUE(manifest.kind == "onnx" && manifest.input.is_batch_dynamic);
  CHECK_OK(read(Replaced(onnx, "\"layout\"", "\"dynamic\": [\"width\"], \"layout\"")));
  CHECK_TRUE(!manifest.input.is_batch_dynamic);
  CHECK_STATUS(read(Replaced(onnx, "\"layout\"", "\"dynamic\": true, \"layout\"")), 2, "dynamic");
  CHECK_STATUS(read(Replaced(onnx, "\"fp32\"", "\"bf16\"")), 2, "expected \"fp32\" or \"int8\"");
  const std::string own =
      Replaced(text, "\"lite2\"", R"("openvino", "precision": "int8", "weights": {"file": "m.bin", "sha256": "11"})");
  CHECK_OK(read(own));
  CHECK_TRUE(manifest.precision == ocrnet::Precision::kInt8 && manifest.weights_sha256 == "11");
  CHECK_STATUS(read(Replaced(own, "weights", "w")), 2, "\"weights\" is missing");
  CHECK_STATUS(read(Replaced(own, "\"sha256\": \"11\"", "\"sha\": \"11\"")), 2, "\"sha256\" is missing");
  CHECK_STATUS(read(Replaced(text, "\"lite2\"", "\"air\"")), 2, "\"lite2\", \"onnx\" or \"openvino\"");
}

TEST(Manifest, WeightsBelongToTheirModel) {
  const std::string path = TestFile("m.xml", "xml");
  Manifest manifest;
  manifest.model_file = "m.xml";
  manifest.kind = "openvino";
  CHECK_OK(ocrnet::FileSha256(path, &manifest.sha256));
  CHECK_STATUS(ocrnet::CheckModelFile(path, "m.json", manifest), 2, "m.bin: no such file");
  CHECK_OK(ocrnet::FileSha256(TestFile("m.bin", "weights"), &manifest.weights_sha256));
  CHECK_OK(ocrnet::CheckModelFile(path, "m.json", manifest));
  TestFile("m.bin", "weight");
  CHECK_STATUS(ocrnet::CheckModelFile(path, "m.json", manifest), 2, "m.bin: SHA-256");
}

TEST(Manifest, BelongsToItsModel) {
  const std::string path = ocrnet_test::WriteModel();
  Manifest manifest;
  CHECK_OK(Manifest::Read(TestFolder() + "m.json", &manifest));
  CHECK_OK(ocrnet::CheckModelFile(path, "m.json", manifest));
  TestFile("m.mindir", "other");
  CHECK_STATUS(ocrnet::CheckModelFile(path, "m.json", manifest), 2, "truncated, damaged or another one");
  CHECK_STATUS(ocrnet::CheckModelFile(TestFile("n.mindir", "other"), "m.json", manifest), 2,
               "the manifest of m.mindir, not of n");
  CHECK_OK(ocrnet::CheckModelFile(TestFile("renamed.mindir", ocrnet_test::kModelBytes), "m.json", manifest));
  TestFile("m.mindir", "");
  CHECK_STATUS(ocrnet::CheckModelFile(path, "m.json", manifest), 2, "is empty");
}

TEST(Manifest, MindIrVersion) {
  int64_t version = -1;
  // A string (field 1, 3 bytes) before the version.
  CHECK_OK(ocrnet::ReadMindIrVersion(TestFile("v3", std::string("\x0a\x03xyz\x68\x03", 7)), &version));
  CHECK_EQUAL(version, 3);
  CHECK_OK(ocrnet::ReadMindIrVersion(TestFile("v0", std::string("\x0a\x03xyz", 5)), &version));
  CHECK_EQUAL(version, 0);
  CHECK_STATUS(ocrnet::ReadMindIrVersion(TestFile("cut", std::string("\x0a\x03xy", 4)), &version), 2, "truncated");
  CHECK_STATUS(ocrnet::ReadMindIrVersion(TestFile("text", "no MindIR at all"), &version), 2, "not a MindIR");
  CHECK_STATUS(ocrnet::ReadMindIrVersion(TestFile("long", std::string(11, '\xff')), &version), 2, "not a MindIR");
}

TEST(Index, Reads) {
  Dataset dataset;
  CHECK_OK(OpenIndex(IndexText(SampleText("b") + "," + SampleText("a")), &dataset));
  CHECK_TRUE(dataset.is_binary);
  CHECK_EQUAL(dataset.samples.size(), 2);
  CHECK_EQUAL(dataset.samples[0].name, "b");  // in the index's order
  CHECK_EQUAL(dataset.samples[0].path, TestFolder() + "data/inputs/b.bin");
  CHECK_TRUE(dataset.samples[0].height == 17 && dataset.samples[0].width == 23);
}

TEST(Index, Mistakes) {
  Dataset dataset;
  const std::string good = IndexText(SampleText("a"));
  const auto with = [&](const char* part, const char* by) { return OpenIndex(Replaced(good, part, by), &dataset); };
  CHECK_STATUS(with("\"dtype\": \"float32\"", "\"dtype\": \"uint8\""), 2,
               "samples are (3, 16, 20) uint8, the model takes");
  CHECK_STATUS(with("[3, 16, 20]", "[3, 20, 16]"), 2, "the model takes (3, 16, 20) float32; run preprocess.py again");
  CHECK_STATUS(with("\"BGR\"", "\"RGB\""), 2, "colour order");
  CHECK_STATUS(with("0.406", "0.5"), 2, "mean");
  CHECK_STATUS(with("\"num_classes\": 4", "\"num_classes\": 5"), 2, "5 classes, the model has 4");
  CHECK_STATUS(with("\"height\": 17", "\"height\": 0"), 2, "no size");
  CHECK_STATUS(with("\"height\": 17", "\"height\": 1000000"), 2, "no size");
  CHECK_STATUS(with("inputs/a.bin", "inputs/../../a.bin"), 2, "leaves the folder");
  CHECK_STATUS(with("inputs/a.bin", "/etc/passwd"), 2, "leaves the folder");
  CHECK_STATUS(with("\"name\": \"a\"", "\"name\": \"../a\""), 2, "no plain file name");
  CHECK_STATUS(OpenIndex(IndexText(""), &dataset), 2, "it has no samples");
  CHECK_STATUS(OpenIndex(IndexText(SampleText("a") + "," + SampleText("a")), &dataset), 2, "\"a\" occurs twice");
  CHECK_STATUS(OpenIndex("{", &dataset), 2, "index.json: line 1");
}

// preprocess.py would say the same again, unless the model is another.
TEST(Index, AdviceThatHelps) {
  Dataset dataset;
  const auto advises = [&dataset](const std::string& text) {
    return OpenIndex(text, &dataset).message().find("run preprocess.py again") != std::string::npos;
  };
  const std::string good = IndexText(SampleText("a"));
  CHECK_TRUE(advises(Replaced(good, "\"BGR\"", "\"RGB\"")) && advises(Replaced(good, "[3, 16, 20]", "[3, 16, 24]")) &&
             advises(Replaced(good, "\"num_classes\": 4", "\"num_classes\": 5")));
  CHECK_TRUE(!advises(Replaced(good, "\"name\": \"a\"", "\"name\": \".a\"")) && !advises("{"));
}

TEST(Index, SizeIsLimited) {
  Dataset dataset;
  CHECK_OK(OpenIndex(IndexText(SampleText("a")), &dataset));
  std::filesystem::resize_file(TestFolder() + "data/index.json", (64 << 20) + 1);  // takes no space
  CHECK_STATUS(ocrnet::OpenDataset(TestFolder() + "data", GoodManifest(), false, &dataset), 2, "at most 67108864");
}

TEST(Index, SizesOfBinaries) {
  Dataset dataset;
  const std::string index = IndexText(SampleText("a"));
  CHECK_STATUS(OpenIndex(index, &dataset, true), 2, "a.bin: no such file");
  TestFile("data/inputs/a.bin", "short");
  CHECK_STATUS(OpenIndex(index, &dataset, true), 2, "a.bin: 5 bytes, expected 3840");
  CHECK_OK(OpenIndex(index, &dataset, false));
  TestFile("data/inputs/a.bin", std::string(3840, 'x'));
  CHECK_OK(OpenIndex(index, &dataset, true));
}

TEST(Index, SafeNames) {
  for (const char* good : {"a", "aachen_000000_000019", "a b", "\xc3\xa9", "a.b"}) CHECK_TRUE(ocrnet::IsSafeName(good));
  for (const char* bad : {"", ".", "..", ".a", "a/b", "/a", "a\\b", "a\nb", "\xff"})
    CHECK_TRUE(!ocrnet::IsSafeName(bad));
  CHECK_TRUE(!ocrnet::IsSafeName(std::string("a\0b", 3)));
  CHECK_TRUE(!ocrnet::IsSafeName(std::string(300, 'a')));
}

TEST(Index, Pictures) {
  Dataset dataset;
  for (const char* name : {"p/b.png", "p/a.JPG", "p/c.jpeg", "p/notes.txt", "p/.hidden.png", "p/sub/d.png"})
    TestFile(name, "");
  CHECK_OK(ocrnet::OpenDataset(TestFolder() + "p", GoodManifest(), true, &dataset));
  CHECK_TRUE(!dataset.is_binary);
  std::string names;
  for (const ocrnet::Sample& sample : dataset.samples) names += sample.name;
  CHECK_EQUAL(names, "abc");
  CHECK_OK(ocrnet::OpenDataset(TestFolder() + "p/b.png", GoodManifest(), true, &dataset));
  CHECK_EQUAL(dataset.samples.size(), 1);
  TestFile("p/b.jpg", "");
  CHECK_STATUS(ocrnet::OpenDataset(TestFolder() + "p", GoodManifest(), true, &dataset), 2,
               "would both give the result b");
}

// They are found missing when they are read, instead of being passed over in silence.
TEST(Index, PicturesThatCannotBeReadCount) {
  Dataset dataset;
  TestFile("p/a.png", "");
  std::filesystem::create_symlink("nowhere", TestFolder() + "p/b.png");
  std::filesystem::create_directories(TestFolder() + "p/c.png");
  CHECK_OK(ocrnet::OpenDataset(TestFolder() + "p", GoodManifest(), true, &dataset));
  CHECK_EQUAL(dataset.samples.size(), 2);
}

TEST(Index, NothingToDo) {
  Dataset dataset;
  TestFile("empty/notes.txt", "");
  CHECK_STATUS(ocrnet::OpenDataset(TestFolder() + "empty", GoodManifest(), true, &dataset), 2, "neither an index.json");
  TestFile("unfinished/inputs/a.bin", "");
  CHECK_STATUS(ocrnet::OpenDataset(TestFolder() + "unfinished", GoodManifest(), true, &dataset), 2, "did not finish");
  CHECK_STATUS(ocrnet::OpenDataset(TestFolder() + "none", GoodManifest(), true, &dataset), 2, "no such folder");
  CHECK_STATUS(ocrnet::OpenDataset(TestFolder() + "empty/notes.txt", GoodManifest(), true, &dataset), 2,
               "neither a folder");
}

TEST(Result, Content) {
  Dataset dataset;
  CHECK_OK(OpenIndex(IndexText(SampleText("a") + "," + SampleText("b")), &dataset));
  ocrnet::PipelineReport report;
  report.written = {{1, {17, 23}}};
  report.skipped = {{0, "a \"bad\" one"}};
  Json json;
  CHECK_OK(Json::Parse(ocrnet::ResultJson(GoodManifest(), dataset, report, ocrnet::ResultKind::kLogits), &json));
  const Json* output;
  CHECK_OK(json.GetObject("output", &output));
  std::vector<int64_t> shape;
  CHECK_OK(output->Get("shape", &shape));
  CHECK_TRUE((shape == std::vector<int64_t>{4, 4, 5}));
  CHECK_TRUE(output->Find("align_corners")->boolean() && !output->Find("half_pixel_centers")->boolean());
  const Json& sample = json.Find("samples")->items()[0];
  CHECK_EQUAL(sample.Find("file")->string(), "b.bin");
  CHECK_EQUAL(sample.Find("height")->number(), 17.0);
  CHECK_EQUAL(json.Find("skipped")->items()[0].Find("name")->string(), "a");
  CHECK_EQUAL(json.Find("skipped")->items()[0].Find("reason")->string(), "a \"bad\" one");
  CHECK_EQUAL(json.Find("num_classes")->number(), 4.0);
  CHECK_OK(Json::Parse(ocrnet::ResultJson(GoodManifest(), dataset, {}, ocrnet::ResultKind::kMasks), &json));
  CHECK_EQUAL(json.Find("output")->Find("kind")->string(), "labels");
  CHECK_TRUE(json.Find("output")->Find("shape") == nullptr && json.Find("samples")->items().empty());
}

TEST(Result, OfAnEarlierRunGoesWithWhatItLists) {
  const std::string folder = TestFolder() + "r";
  const std::string json = ResultText("a.bin");
  TestFile("r/a.bin", "old");
  TestFile("r/b.bin", "mine");
  TestFile("r/result.json", json);
  {
    ocrnet::FileLock interrupted;
    CHECK_OK(ocrnet::OpenResults(folder, &interrupted));
    CHECK_EQUAL(Files("r"), ".unfinished b.bin");
  }
  ocrnet::FileLock lock;
  CHECK_OK(ocrnet::OpenResults(folder, &lock));
  CHECK_OK(ocrnet::CloseResults(folder, json));
  CHECK_EQUAL(Files("r"), "b.bin result.json");
}

TEST(Result, OfARunAtWorkIsLeftAlone) {
  const std::string folder = TestFolder() + "r";
  TestFile("r/a.bin", "at work");
  ocrnet::FileLock at_work;
  CHECK_OK(ocrnet::OpenResults(folder, &at_work));
  ocrnet::FileLock lock;
  CHECK_STATUS(ocrnet::OpenResults(folder, &lock), 2, "another run is at work in this folder");
  CHECK_EQUAL(Files("r"), ".unfinished a.bin");
}

TEST(Result, SomebodyElsesIsLeftAlone) {
  const std::string listed = ResultText("a.bin");
  for (const std::string& text :
       {std::string("{}"), std::string("of no program"), Replaced(listed, "\"skipped\"", "\"s\""),
        Replaced(listed, "\"a.bin\"", "\"../a.bin\""), Replaced(listed, "\"a.bin\"", "\"b.bin\"")}) {
    TestFile("r/result.json", text);
    TestFile("r/a.bin", "mine");
    ocrnet::FileLock lock;
    CHECK_STATUS(ocrnet::OpenResults(TestFolder() + "r", &lock), 2, "not written by this program");
    CHECK_EQUAL(Files("r"), "a.bin result.json");
    CHECK_EQUAL(ocrnet_test::Content(TestFolder() + "r/result.json"), text);
  }
}
