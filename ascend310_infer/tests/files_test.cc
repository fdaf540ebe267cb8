// SHA-256, reading and writing of files, and what is held back of stderr.
#include "inc/files.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

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
}

TEST(Files, SizeLimit) {
  std::filesystem::create_symlink("loop", TestFolder() + "loop");
  CHECK_STATUS(ocrnet::ReadExactly(TestFolder() + "loop", 2, bytes), 2, "loop: cannot be read");
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

TEST(StderrCapture, FindsTheCause) {
  const std::string error = "[ERROR] ME(1,2,main):2023-01-01 [lite/a.cc:35] Build] Create session failed.\n";
  CHECK_EQUAL(ocrnet::CauseInLog("noise\n" + error + "[ERROR] ME(1) [b.cc:3] Run] Later.\n"), "Create session failed.");
  const std::string opening = "[WARNING] ME(1) [c.h:1] Open] dlopen p.so failed, error: libx.so.8: cannot open\n";
  CHECK_EQUAL(ocrnet::CauseInLog(error + opening), "libx.so.8: cannot open");
  CHECK_EQUAL(ocrnet::CauseInLog("[WARNING] ME(1) [c.h:1] Open] something\n"), "");
}
