#include "cache-agent/verify/module_zip.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "base/digest.hpp"
#include "tests/fakes/manual_clock.hpp"
#include "tests/fakes/places/places.hpp"

namespace cistern::verify {
namespace {

const std::string kData = (fakes::source_folder() / "tests/unit/verify/data/").string();

std::string little(std::uint64_t value, std::size_t length) {
  std::string bytes;
  for (std::size_t i = 0; i < length; ++i) bytes += static_cast<char>(i < sizeof value ? value >> (8 * i) & 0xff : 0);
  return bytes;
}

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
  }
  return ~crc;
}

// One file of an archive, stored; each field can be made to lie.
struct File {
  std::string name;
  std::string contents;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::string local_name = name;
  std::uint32_t crc = crc32(contents);
  std::uint64_t unpacked = contents.size();
};

struct Zip {
  std::vector<File> files;
  std::string before = {};   // leading bytes, counted in the offsets
  std::string between = {};  // between the directory and the end record
  std::string comment = {};
  std::string after = {};
  int entries_more = 0;  // what the end record claims beyond the truth
  bool large = false;    // with a zip64 end record

  std::string bytes() const {
    std::string out = before;
    std::string directory;
    for (const File& file : files) {
      const std::string middle = little(file.flags, 2) + little(file.method, 2) + little(0, 4) + little(file.crc, 4) +
                                 little(file.contents.size(), 4) + little(file.unpacked, 4);
      directory += "PK\1\2" + little(20, 2) + little(20, 2) + middle + little(file.name.size(), 2) + little(0, 12) + little(out.size(), 4) +
                   file.name;
      out += "PK\3\4" + little(20, 2) + middle + little(file.local_name.size(), 2) + little(0, 2) + file.local_name + file.contents;
    }
    const std::uint64_t offset = out.size();
    const std::uint64_t entries = files.size() + static_cast<std::uint64_t>(entries_more);
    out += directory + between;
    if (large) {
      const std::uint64_t record = out.size();
      out += "PK\6\6" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) + little(entries, 8) + little(entries, 8) +
             little(directory.size(), 8) + little(offset, 8);
      out += "PK\6\7" + little(0, 4) + little(record, 8) + little(1, 4);
    }
    const std::uint64_t small = large ? 0xffff : entries;
    return out + "PK\5\6" + little(0, 4) + little(small, 2) + little(small, 2) + little(directory.size(), 4) +
           little(large ? 0xffffffff : offset, 4) + little(comment.size(), 2) + comment + after;
  }
};

class ModuleZip : public testing::Test {
 protected:
  Result<std::string> hash(const std::string& bytes, const ZipLimits& limits = {}) {
    const int file = ::memfd_create("zip", MFD_CLOEXEC);
    EXPECT_EQ(::pwrite(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    auto result = hash_module_zip(file, "example.org/m", "v1.0.0", limits, Interrupt{stop.get_token(), clock, deadline});
    EXPECT_EQ(::lseek(file, 0, SEEK_CUR), 0) << "the position is left alone";
    ::close(file);
    return result;
  }
  void expect_refused(const Zip& zip, const std::string& why) {
    const auto result = hash(zip.bytes());
    ASSERT_FALSE(result) << why;
    EXPECT_EQ(result.error().code, ErrorCode::kCorrupt);
    EXPECT_NE(result.error().message.find(why), std::string::npos) << result.error().message;
  }
  static File file(const std::string& name, const std::string& contents = "contents\n") {
    return {"example.org/m@v1.0.0/" + name, contents};
  }

  fakes::ManualClock clock;
  std::stop_source stop;
  Deadline deadline;
};

TEST_F(ModuleZip, OfARealModuleHasTheHashOfTheChecksumDatabase) {
  const int zip = ::open((kData + "rsc.io-quote-v1.5.2.zip").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(zip, 0);
  const Interrupt interrupt{{}, clock, {}};
  EXPECT_EQ(hash_module_zip(zip, "rsc.io/quote", "v1.5.2", {}, interrupt).value(), "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=");
  EXPECT_FALSE(hash_module_zip(zip, "rsc.io/quote", "v1.5.3", {}, interrupt)) << "it belongs to another version";
  ::close(zip);
}

TEST(GoMod, OfARealModuleHasTheHashOfTheChecksumDatabase) {
  const int file = ::open((kData + "rsc.io-quote-v1.5.2.mod").c_str(), O_RDONLY | O_CLOEXEC);
  std::string bytes(4096, '\0');
  bytes.resize(static_cast<std::size_t>(::read(file, bytes.data(), bytes.size())));
  ::close(file);
  EXPECT_EQ(hash_go_mod(bytes), "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=");
}

TEST_F(ModuleZip, IsHashedInTheOrderOfNamesWithFoldersAsEmptyFiles) {
  // Made of the lines with sha256sum, `openssl dgst -sha256 -binary` and base64.
  const Zip zip{{file("z.go"), file("dir/", ""), file("a.go", "")}};
  EXPECT_EQ(hash(zip.bytes()).value(), "h1:c9OK7pph/+11IS81Hdq0cXdTBnT6q3/m2kU1DQgJF9g=");
}

TEST_F(ModuleZip, IsAcceptedWithACommentOrAZip64Record) {
  const std::string plain = hash(Zip{{file("a")}}.bytes()).value();
  Zip commented{{file("a")}};
  commented.comment = "of git archive";
  EXPECT_EQ(hash(commented.bytes()).value(), plain);
  Zip large{{file("a")}};
  large.large = true;
  EXPECT_EQ(hash(large.bytes()).value(), plain);
}

TEST_F(ModuleZip, IsRefusedForNames) {
  expect_refused({{file("a"), file("a", "other\n")}}, "twice");
  expect_refused({{{"example.org/m@v1.0.1/a", "x"}}}, "outside of");
  expect_refused({{{"a", "x"}}}, "outside of");
  expect_refused({{{"/example.org/m@v1.0.0/a", "x"}}}, "outside of");
  for (const std::string name : {"../a", "a/../b", "./a", "a//b", "/a", "..", "a\\b", "a\nb", "a\tb", "\xff"})
    expect_refused({{file(name)}}, "forbidden name");
}

TEST_F(ModuleZip, IsRefusedWhenReadersCouldDisagree) {
  Zip zip{{file("a"), file("b")}};
  const Zip good = zip;
  zip.before = "#!/bin/sh\n";
  expect_refused(zip, "bytes precede");
  zip = good, zip.between = "hidden";
  expect_refused(zip, "not right before");
  zip = good, zip.after = "\n";
  expect_refused(zip, "bytes follow");
  zip = good, zip.after = Zip{{file("c")}}.bytes();
  expect_refused(zip, "not right before");
  zip = good, zip.comment = "PK\5\6 in a comment that goes on for longer than a record";
  expect_refused(zip, "bytes follow");
  zip = good, zip.entries_more = 1;
  expect_refused(zip, "number of files");
  zip = good, zip.entries_more = -1;
  expect_refused(zip, "number of files");
  zip = good, zip.files[0].local_name.back() = 'c';
  expect_refused(zip, "disagrees with the directory");
}

TEST_F(ModuleZip, IsRefusedForContentsThatAreNotAsPromised) {
  Zip zip{{file("a"), file("b")}};
  const Zip good = zip;
  zip.files[1].crc ^= 1;
  expect_refused(zip, "damaged at");
  zip = good, zip.files[0].unpacked += 1;
  expect_refused(zip, "sizes of a file disagree");
  zip = good, zip.files[0].flags = 1;
  expect_refused(zip, "encrypted");
  zip = good, zip.files[0].method = 12;
  expect_refused(zip, "unknown method");
  zip = good, zip.files[0].method = 8;  // not deflated data
  expect_refused(zip, "damaged at");
  expect_refused({{file("dir/", "contents")}}, "folder with contents");
}

TEST_F(ModuleZip, IsRefusedWhenCutAnywhere) {
  const std::string bytes = Zip{{file("a"), file("dir/b")}}.bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) EXPECT_FALSE(hash(bytes.substr(0, length))) << length;
}

TEST_F(ModuleZip, IsNeverAcceptedWithAnotherHashWhenAByteChanged) {
  const std::string bytes = Zip{{file("a"), file("dir/b")}}.bytes();
  const std::string right = hash(bytes).value();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    const auto result = hash(changed);
    EXPECT_EQ(result.value_or(right), right) << i;  // times and versions do not matter
  }
}

TEST_F(ModuleZip, IsRefusedBeyondTheLimits) {
  const std::string bytes = Zip{{file("a", std::string(1000, 'x')), file("b", std::string(1000, 'x'))}}.bytes();
  ZipLimits limits;
  limits.unpacked = Bytes{2000};
  EXPECT_TRUE(hash(bytes, limits));
  limits.unpacked = Bytes{1999};
  EXPECT_EQ(hash(bytes, limits).error().code, ErrorCode::kCorrupt);
  limits = {};
  limits.packed = Bytes{bytes.size() - 1};
  EXPECT_FALSE(hash(bytes, limits));
  limits = {};
  limits.directory = Bytes{100};
  EXPECT_FALSE(hash(bytes, limits));
}

TEST_F(ModuleZip, IsGivenUpWhenCancelledOrLate) {
  const std::string bytes = Zip{{file("a")}}.bytes();
  deadline = Deadline::after(clock, std::chrono::seconds(1));
  EXPECT_TRUE(hash(bytes));
  clock.advance(std::chrono::seconds(2));
  EXPECT_EQ(hash(bytes).error().code, ErrorCode::kTimeout);
  stop.request_stop();
  EXPECT_EQ(hash(bytes).error().code, ErrorCode::kCancelled);
}

TEST_F(ModuleZip, ThatIsNoneIsRefused) {
  for (const std::string& bytes : std::vector<std::string>{"", "PK", "<html></html>", std::string(100'000, '\0')}) {
    EXPECT_EQ(hash(bytes).error().code, ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace cistern::verify
