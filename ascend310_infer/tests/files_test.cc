// SHA-256, reading and writing of files, and what is held back of stderr.
#include "inc/files.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <new>
#include <stdexcept>

#include "inc/engine.h"
#include "inc/sha256.h"
#include "inc/stderr_capture.h"
#include "tests/check.h"

using ocrnet::Sha256;
using ocrnet_test::Content;
using ocrnet_test::TestFile;
using ocrnet_test::TestFolder;

namespace {

std::string Digest(const std::string& text, size_t piece) {
  Sha256 digest;
  for (size_t i = 0; i < text.size(); i += piece) digest.Update(text.data() + i, std::min(piece, text.size() - i));
  return digest.HexDigest();
}

}  // namespace

// The examples of FIPS 180-4 and its predecessor.
TEST(Sha256, PublishedVectors) {
  CHECK_EQUAL(Digest("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQUAL(Digest("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  CHECK_EQUAL(Digest(two_blocks, 56), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const std::string million(1000000, 'a');
  for (size_t piece : {size_t{1}, size_t{63}, size_t{64}, size_t{1000}}) {
    CHECK_EQUAL(Digest(million, piece), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
}

TEST(Sha256, OfAFile) {
  std::string hex;
  CHECK_OK(ocrnet::FileSha256(TestFile("f", "abc"), &hex));
  CHECK_EQUAL(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_STATUS(ocrnet::FileSha256(TestFolder() + "none", &hex), 2, "no such file");
}

TEST(Files, ExactSize) {
  const std::string path = TestFile("three", "abc");
  char bytes[4] = {};
  CHECK_OK(ocrnet::ReadExactly(path, 3, bytes));
  CHECK_EQUAL(std::string(bytes), "abc");
  CHECK_STATUS(ocrnet::ReadExactly(path, 4, bytes), 2, "three: 3 bytes, expected 4");
  CHECK_STATUS(ocrnet::ReadExactly(path, 2, bytes), 2, "3 bytes, expected 2");
  CHECK_STATUS(ocrnet::ReadExactly(TestFolder(), 2, bytes), 2, "not a file");
  std::filesystem::create_symlink("loop", TestFolder() + "loop");
  CHECK_STATUS(ocrnet::ReadExactly(TestFolder() + "loop", 2, bytes), 2, "loop: cannot be read");
}

TEST(Files, SizeLimit) {
  std::string text;
  CHECK_STATUS(ocrnet::ReadTextFile(TestFile("three", "abc"), 2, &text), 2, "at most 2");
  CHECK_OK(ocrnet::ReadTextFile(TestFolder() + "three", 3, &text));
  CHECK_EQUAL(text, "abc");
}

TEST(Files, WritesWholeOrNot) {
  const std::string path = TestFile("out", "before");
  CHECK_OK(ocrnet::WriteFileAtomically(path, "after", 5));
  CHECK_EQUAL(Content(path), "after");
  CHECK_TRUE(!std::filesystem::exists(path + ".tmp"));
  // A folder of that name cannot be replaced by a file: the temporary file must not stay.
  std::filesystem::create_directories(TestFolder() + "folder/in");
  CHECK_STATUS(ocrnet::WriteFileAtomically(TestFolder() + "folder", "x", 1), 2, "cannot be written");
  CHECK_TRUE(!std::filesystem::exists(TestFolder() + "folder.tmp"));
  CHECK_STATUS(ocrnet::WriteFileAtomically(TestFolder() + "no/where", "x", 1), 2, "cannot be written");
}

TEST(Files, FullDisk) {
  if (access("/dev/full", W_OK) != 0) return;
  std::filesystem::create_symlink("/dev/full", TestFolder() + "out.tmp");
  CHECK_STATUS(ocrnet::WriteFileAtomically(TestFolder() + "out", "x", 1), 2, "No space left");
  CHECK_TRUE(!std::filesystem::exists(TestFolder() + "out"));
}

TEST(Files, ResultFolder) {
  CHECK_OK(ocrnet::PrepareFolder(TestFolder() + "a/b"));
  CHECK_TRUE(std::filesystem::is_empty(TestFolder() + "a/b"));
  CHECK_STATUS(ocrnet::PrepareFolder(TestFile("file", "") + "/b"), 2, "cannot be made");
  CHECK_STATUS(ocrnet::PrepareFolder(TestFile("file", "")), 2, "cannot be made");
  if (geteuid() == 0) return;  // root writes everywhere
  std::filesystem::permissions(TestFolder() + "a/b", std::filesystem::perms::owner_read);
  CHECK_STATUS(ocrnet::PrepareFolder(TestFolder() + "a/b"), 2, "cannot be written");
}

TEST(StderrCapture, HoldsBackAndGivesBack) {
  ocrnet::StderrCapture outer;
  {
    ocrnet::StderrCapture inner;
    std::fprintf(stderr, "inner\n");
    CHECK_EQUAL(inner.Finish(), "inner\n");
    CHECK_EQUAL(inner.Finish(), "");
  }
  std::fprintf(stderr, "outer\n");
  CHECK_EQUAL(outer.Finish(), "outer\n");
}

TEST(Engine, FailuresInOneLine) {
  using ocrnet::CauseOfFailure;
  CHECK_EQUAL(CauseOfFailure([](std::string*) { return true; }), "");
  CHECK_EQUAL(CauseOfFailure([](std::string* text) { return (*text = "\nCommon error.\nmore\n").empty(); }),
              "Common error");
  CHECK_EQUAL(CauseOfFailure([](std::string*) -> bool { throw std::runtime_error("thrown\n----\nC++ call stack"); }),
              "thrown");
  CHECK_EQUAL(CauseOfFailure([](std::string*) -> bool { throw std::bad_alloc(); }), "out of memory");
  CHECK_EQUAL(CauseOfFailure([](std::string* text) {
                std::fprintf(stderr, "[ERROR] ME(1) [lite/a.cc:35] Build] The cause.\n");
                return (*text = "Common error.").empty();
              }),
              "The cause");
  CHECK_TRUE(!CauseOfFailure([](std::string*) { return false; }).empty());
}

TEST(Engine, ExceptionsOfOpenvinoInOneLine) {
  using ocrnet::CauseInText;
  CHECK_EQUAL(CauseInText("Exception from src/inference/src/cpp/core.cpp:84:\n"
                          "Check 'util::file_exists(path)' failed at src/frontends/common/src/frontend.cpp:117:\n"
                          "FrontEnd API failed with GeneralFailure:\nonnx: Could not open the file: \"m.onnx\"\n\n"),
              "onnx: Could not open the file: \"m.onnx\"");
  CHECK_EQUAL(CauseInText("Exception from src/inference/src/cpp/core.cpp:84:\nModel wasn't fully converted.\nSummary:\n"
                          "-- No conversion rule found for operations: Frob-17\n"),
              "No conversion rule found for operations: Frob-17");
  CHECK_EQUAL(CauseInText("Check 'a.compatible(b)' failed at src/core/a.hpp:307:\nWhile validating node 'y':\n"
                          "Data batch channel count (5) does not match.\n"),
              "Data batch channel count (5) does not match");
  CHECK_EQUAL(CauseInText("Exception from src/a.cpp:1:\n"), "Exception from src/a.cpp:1:");
  CHECK_EQUAL(ocrnet::CauseOfException([] { throw std::runtime_error("Exception from a:1:\nThe cause.\n"); }),
              "The cause");
  CHECK_EQUAL(ocrnet::CauseOfException([] { throw std::bad_alloc(); }), "out of memory");
  CHECK_EQUAL(ocrnet::CauseOfException([] {}), "");
  CHECK_TRUE(!ocrnet::CauseOfException([] { throw std::runtime_error(""); }).empty());
}

TEST(Engine, TheDeviceIsBlamedForItsOwnFailuresAlone) {
  ocrnet::EngineOptions options;
  options.model_path = "m.mindir";
  options.device_type = "GPU";
  options.device_id = 3;
  const ocrnet::Status device = ocrnet::LoadingFailed(options, "Lite", "libcudnn.so.8: cannot open shared object file");
  CHECK_STATUS(device, 2, "m.mindir on --device_type GPU --device_id 3: Lite cannot use this device: libcudnn");
  CHECK_STATUS(device, 2, "take --device_type CPU");
  const ocrnet::Status model = ocrnet::LoadingFailed(options, "Lite", "Unsupported operator Foo");
  CHECK_EQUAL(model.message(),
              "m.mindir on --device_type GPU --device_id 3: Lite cannot load it: Unsupported operator Foo");
  options.device_type = "CPU";
  CHECK_EQUAL(ocrnet::LoadingFailed(options, "Lite", "Invalid device").message(),
              "m.mindir on --device_type CPU: Lite cannot load it: Invalid device");
}

TEST(StderrCapture, KeepsBothEndsOfMuch) {
  ocrnet::StderrCapture capture;
  std::fprintf(stderr, "first\n%s\nlast", std::string(1 << 20, 'x').c_str());
  const std::string log = capture.Finish();
  CHECK_TRUE(log.size() == 64 << 10 && log.compare(0, 6, "first\n") == 0 &&
             log.compare(log.size() - 4, 4, "last") == 0);
}

TEST(StderrCapture, FindsTheCause) {
  const std::string error = "[ERROR] ME(1,2,main):2023-01-01 [lite/a.cc:35] Build] Create session failed.\n";
  CHECK_EQUAL(ocrnet::CauseInLog("noise\n" + error + "[ERROR] ME(1) [b.cc:3] Run] Later.\n"), "Create session failed.");
  const std::string opening = "[WARNING] ME(1) [c.h:1] Open] dlopen p.so failed, error: libx.so.8: cannot open\n";
  CHECK_EQUAL(ocrnet::CauseInLog(error + opening), "libx.so.8: cannot open");
  CHECK_EQUAL(ocrnet::CauseInLog("[WARNING] ME(1) [c.h:1] Open] something\n"), "");
  const std::string preface = "[ERROR] CORE(1) [l.cc:392] operator^] Runtime error for null exception handler.\n";
  CHECK_EQUAL(ocrnet::CauseInLog(preface + error), "Create session failed.");
  const std::string operation = "[WARNING] LITE(1) [o.h:50] Create] Unsupported primitive type in Create: Foo\n";
  CHECK_EQUAL(ocrnet::CauseInLog(error + operation), "Unsupported primitive type in Create: Foo");
}
