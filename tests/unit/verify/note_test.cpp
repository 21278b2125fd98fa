#include "cache-agent/verify/note.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/digest.hpp"
#include "base/encoding.hpp"
#include "tests/fakes/sumdb/sumdb.hpp"

namespace cistern::verify {
namespace {

// The example of golang.org/x/mod/sumdb/note.
const std::string kKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const std::string kText = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const std::string kSignature =
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

VerifierKey key() { return VerifierKey::parse(kKey).value(); }

void expect_refused(const std::string& note) {
  const auto opened = open_note(note, key());
  ASSERT_FALSE(opened) << note;
  EXPECT_EQ(opened.error().code, ErrorCode::kCorrupt);
}

TEST(VerifierKey, IsReadWithItsNameAndHash) {
  EXPECT_EQ(key().name(), "PeterNeumann");
  EXPECT_EQ(key().hash(), 0xc74f20a3U);
  EXPECT_TRUE(VerifierKey::parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"));
}

TEST(VerifierKey, IsRefusedUnlessWellFormed) {
  const std::string base64 = kKey.substr(kKey.rfind('+') + 1);
  for (const std::string& bad : std::vector<std::string>{
           std::string(), std::string("PeterNeumann"), std::string("PeterNeumann+c74f20a3"), "+c74f20a3+" + base64,
           "Peter Neumann+c74f20a3+" + base64, "Peter\u00a0Neumann+c74f20a3+" + base64, "PeterNeumann+c74f20a4+" + base64,
           "PeterNeumann+c74f20a+" + base64, "PeterNeumann+c74f20ag+" + base64, "PeterNeumanN+c74f20a3+" + base64,
           "PeterNeumann+c74f20a3+" + base64.substr(4), "PeterNeumann+c74f20a3+", "PeterNeumann+c74f20a3+!!!!"}) {
    const auto parsed = VerifierKey::parse(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalid);
  }
}

TEST(VerifierKey, OfAnUnknownAlgorithmIsRefused) {
  std::string bytes(33, 'x');
  bytes[0] = 2;
  const Digest digest = Sha256::of("name\n" + bytes);
  const auto parsed = VerifierKey::parse("name+" + digest.hex().substr(0, 8) + "+" + to_base64(bytes));
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message.find("Ed25519"), std::string::npos);
}

TEST(Note, GivesTheTextThatTheKeySigned) { EXPECT_EQ(open_note(kText + "\n" + kSignature, key()).value(), kText); }

TEST(Note, OfTheFakeDatabaseIsOpenedByItsKey) {
  const fakes::SumDb database("sum.example/path");
  const auto own = VerifierKey::parse(database.verifier_key());
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(open_note(database.sign("a\n\nb\n"), *own).value(), "a\n\nb\n");
}

TEST(Note, IsRefusedWhenAByteOfTextOrSignatureChanged) {
  expect_refused("x" + kText + "\n" + kSignature);
  std::string signature = kSignature;
  signature[signature.size() - 8] ^= 1;
  expect_refused(kText + "\n" + signature);
}

TEST(Note, IsRefusedWithoutASignatureByTheKey) {
  const fakes::SumDb other("PeterNeumann");  // the same name, another key
  expect_refused(other.sign(kText));
}

TEST(Note, MayHaveSignaturesByOthersBesideTheKeys) {
  const std::string other = fakes::SumDb("other").sign(kText).substr(kText.size() + 1);
  EXPECT_TRUE(open_note(kText + "\n" + other + kSignature + other, key()));
}

TEST(Note, MayRepeatASignature) { EXPECT_TRUE(open_note(kText + "\n" + kSignature + kSignature, key())); }

TEST(Note, IsRefusedWithMoreThanAHundredSignatures) {
  std::string signatures;
  for (int i = 0; i < 99; ++i) signatures += "\u2014 someone" + std::to_string(i) + " AAAAAAAA\n";
  EXPECT_TRUE(open_note(kText + "\n" + signatures + kSignature, key()));
  expect_refused(kText + "\n" + signatures + "\u2014 one.more AAAAAAAA\n" + kSignature);
}

TEST(Note, IsRefusedWhenMalformed) {
  expect_refused("");
  expect_refused(kText);
  expect_refused(kText + "\n");
  expect_refused(kText + kSignature);
  expect_refused(kText + "\n" + kSignature.substr(0, kSignature.size() - 1));
  expect_refused(kText + "\n" + kSignature + "trailing\n");
  expect_refused(kText + "\n" + kSignature + "\u2014 name\n");
  expect_refused(kText + "\n" + kSignature + "\u2014 name AAAA\n");  // four bytes are a hash without a signature
  expect_refused(kText + "\n" + kSignature + "\u2014 na+me AAAAAAAA\n");
  expect_refused(kText + "\n" + kSignature + "- name AAAAAAAA\n");
}

TEST(Note, IsRefusedWithControlCharactersOrBrokenUtf8) {
  const fakes::SumDb database;
  const auto own = VerifierKey::parse(database.verifier_key()).value();
  EXPECT_TRUE(open_note(database.sign("caf\u00e9 \U0001f600\n"), own));
  for (const std::string& bad : std::vector<std::string>{std::string("a\tb\n"), std::string("a\rb\n"), std::string("a\0b\n", 4),
                                                         std::string("\xff\n"), std::string("\xc0\xaf\n"), std::string("\xed\xa0\x80\n"),
                                                         std::string("\xf4\x90\x80\x80\n"), std::string("\xe2\x82\n")}) {
    EXPECT_FALSE(open_note(database.sign(bad), own)) << to_hex({reinterpret_cast<const std::uint8_t*>(bad.data()), bad.size()});
  }
}

TEST(Note, IsRefusedWhenLargerThanAMegabyte) {
  const fakes::SumDb database;
  const auto own = VerifierKey::parse(database.verifier_key()).value();
  std::string text(900'000, 'a');
  text += '\n';
  EXPECT_TRUE(open_note(database.sign(text), own));
  text.insert(0, 100'000, 'a');
  EXPECT_FALSE(open_note(database.sign(text), own));
}

}  // namespace
}  // namespace cistern::verify
