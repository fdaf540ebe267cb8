// The command line and JSON.
#include "inc/arguments.h"
#include "inc/json.h"
#include "tests/fixtures.h"

using ocrnet::Json;
using ocrnet::Options;
using ocrnet::Status;
using ocrnet_test::ManifestText;

namespace {

Status Parse(std::vector<std::string> arguments, Options* options) {
  arguments.insert(arguments.end(), {"--mindir_path", "m", "--dataset_path=d"});
  return ocrnet::ParseArguments(arguments, options);
}

Status ParseJson(const std::string& text) {
  Json json;
  return Json::Parse(text, &json);
}

std::string ParsedString(const std::string& literal) {
  Json json;
  CHECK_OK(Json::Parse(literal, &json));
  return json.string();
}

}  // namespace

TEST(Arguments, BothForms) {
  Options options;
  CHECK_OK(Parse({"--threads=3", "--result_path", "r", "--keep_going", "--outputs", "logits", "--device_id", "0"},
                 &options));
  CHECK_EQUAL(options.model_path, "m");
  CHECK_EQUAL(options.dataset_path, "d");
  CHECK_EQUAL(options.threads, 3);
  CHECK_EQUAL(options.result_path, "r");
  CHECK_TRUE(options.keep_going && options.outputs == "logits");
}

TEST(Arguments, Defaults) {
  Options options;
  CHECK_OK(Parse({}, &options));
  CHECK_EQUAL(options.device_type, "CPU");
  CHECK_EQUAL(options.result_path, "result_Files");
  CHECK_TRUE(options.threads == 0 && options.batch == 0 && options.device_id == 0 && options.streams == 0 &&
             !options.keep_going);
  CHECK_TRUE(options.backend.empty() && options.precision.empty() && options.mode == "latency" &&
             options.outputs == "labels");
}

TEST(Arguments, BackEnds) {
  Options options;
  CHECK_OK(Parse({"--model_path=n", "--backend", "openvino", "--precision=bf16", "--mode", "throughput", "--streams=3"},
                 &options));
  CHECK_EQUAL(options.model_path, "m");  // the same as --mindir_path, which follows
  CHECK_EQUAL(options.backend, "openvino");
  CHECK_EQUAL(options.precision, "bf16");
  CHECK_EQUAL(options.mode, "throughput");
  CHECK_EQUAL(options.streams, 3);
  CHECK_OK(ocrnet::ParseArguments({"--model_path=n", "--dataset_path=d"}, &options));
  CHECK_EQUAL(options.model_path, "n");
}

TEST(Arguments, ValuesMayHoldAnEqualsSign) {
  Options options;
  CHECK_OK(Parse({"--result_path=a=b"}, &options));
  CHECK_EQUAL(options.result_path, "a=b");
}

TEST(Arguments, Mistakes) {
  Options options;
  CHECK_STATUS(Parse({"--device_typ", "CPU"}, &options), 2, "did you mean --device_type?");
  CHECK_STATUS(Parse({"--thread=2"}, &options), 2, "did you mean --threads?");
  CHECK_STATUS(Parse({"file"}, &options), 2, "file: not an option");
  for (const char* bad : {"0", "-1", "x", "2x", "", "99999999999", "1.5"}) {
    CHECK_STATUS(Parse({std::string("--threads=") + bad}, &options), 2, "--threads");
  }
  CHECK_STATUS(Parse({"--device_id=-1"}, &options), 2, "whole number from 0");
  CHECK_STATUS(Parse({"--outputs=masks"}, &options), 2, "expected labels or logits");
  CHECK_STATUS(Parse({"--device_type=TPU"}, &options), 2, "expected CPU, GPU or Ascend");
  CHECK_STATUS(Parse({"--backend=onnx"}, &options), 2, "--backend onnx: expected lite or openvino");
  CHECK_STATUS(Parse({"--precision=fp16"}, &options), 2, "--precision fp16: expected fp32, bf16 or int8");
  CHECK_STATUS(Parse({"--mode=or"}, &options), 2, "--mode or: expected latency or throughput");
  CHECK_STATUS(Parse({"--mode="}, &options), 2, "expected latency or throughput");
  CHECK_STATUS(Parse({"--streams=0"}, &options), 2, "whole number from 1");
  CHECK_STATUS(Parse({"--keep_going=yes"}, &options), 2, "takes no value");
  CHECK_STATUS(Parse({"--manifest", "--batch", "1"}, &options), 2, "--manifest: its value is missing");
  CHECK_STATUS(Parse({"--manifest="}, &options), 2, "its value is empty");
  CHECK_STATUS(ocrnet::ParseArguments({"--mindir_path"}, &options), 2, "its value is missing");
  CHECK_STATUS(ocrnet::ParseArguments({"--mindir_path=m"}, &options), 2, "--dataset_path is missing");
  CHECK_STATUS(ocrnet::ParseArguments({"--dataset_path=m"}, &options), 2, "--mindir_path is missing");
  CHECK_OK(ocrnet::ParseArguments({"--help"}, &options));
  CHECK_TRUE(options.help);
}

TEST(Json, Values) {
  Json json;
  CHECK_OK(Json::Parse(" {\"a\": [1, -2.5e1, true, null, {}], \"b\":\"x\"}\n", &json));
  const std::vector<Json>& items = json.Find("a")->items();
  CHECK_EQUAL(items.size(), 5);
  CHECK_EQUAL(items[1].number(), -25.0);
  CHECK_TRUE(items[2].boolean() && items[3].is_null() && items[4].type() == Json::Type::kObject);
  CHECK_TRUE(json.Find("c") == nullptr);
  std::string text;
  CHECK_STATUS(json.Get("a", &text), 2, "\"a\" is not a string");
  CHECK_STATUS(json.Get("c", &text), 2, "\"c\" is missing");
  int64_t whole;
  CHECK_OK(Json::Parse("{\"a\": 1.5, \"b\": 1e300, \"c\": 7.0}", &json));
  CHECK_STATUS(json.Get("a", &whole), 2, "not a whole number");
  CHECK_STATUS(json.Get("b", &whole), 2, "not a whole number");
  CHECK_OK(json.Get("c", &whole));
  CHECK_EQUAL(whole, 7);
}

TEST(Json, Strings) {
  CHECK_EQUAL(ParsedString(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  CHECK_EQUAL(ParsedString(R"("\u0041\u00e9\u20AC\ud83d\ude00")"), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK_EQUAL(ParsedString("\"\xc3\xa9\""), "\xc3\xa9");
  CHECK_EQUAL(ParsedString(ocrnet::JsonQuoted("a\"b\\c\n\x01")), "a\"b\\c\n\x01");
  CHECK_EQUAL(ocrnet::JsonQuoted("a\xff\xc3\xa9"), "\"a???\"");
}

TEST(Json, Refusals) {
  for (const char* bad : {"",
                          "{",
                          "[1,]",
                          "{\"a\":1,}",
                          "{a:1}",
                          "[1 2]",
                          "01",
                          "1.",
                          ".5",
                          "+1",
                          "1e",
                          "NaN",
                          "Infinity",
                          "-",
                          "'a'",
                          "\"a",
                          "\"\\x\"",
                          "\"\\u12\"",
                          "\"\\u12g4\"",
                          "\"\\ud800\"",
                          "\"\\udc00\"",
                          "\"\\ud800\\u0041\"",
                          "\"\n\"",
                          "tru",
                          "[1]]",
                          "1 1",
                          "{\"a\" 1}",
                          "1e999",
                          "\"\xff\"",
                          "\"\xc0\x80\"",
                          "\"\xed\xa0\x80\""}) {
    CHECK_STATUS(ParseJson(bad), 2, "line ");
  }
  CHECK_STATUS(ParseJson("{\"a\": 1,\n \"a\": 2}"), 2, "line 2: the key \"a\" occurs twice");
  CHECK_STATUS(ParseJson(std::string("1\0", 2)), 2, "line 1");
}

TEST(Json, DepthIsLimited) {
  CHECK_OK(ParseJson(std::string(60, '[') + std::string(60, ']')));
  CHECK_STATUS(ParseJson(std::string(1000000, '[')), 2, "nested too deeply");
}

// A list of small values takes as many times its text as a value is larger than "0,".
TEST(Json, ValuesAreSmall) { CHECK_TRUE(sizeof(Json) <= 64); }

TEST(Json, TruncatedAnywhere) {
  const std::string text = ManifestText("00");
  for (size_t length = 0; length < text.size(); ++length) CHECK_TRUE(!ParseJson(text.substr(0, length)).ok());
}
