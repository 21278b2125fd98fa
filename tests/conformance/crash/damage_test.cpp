// Stores that were damaged between two runs.
#include <fstream>

#include "crash_fixture.hpp"

namespace cistern::conformance {
namespace {

class CrashDamage : public CrashTest {
 protected:
  void SetUp() override {
    offer(6, 300000, 9200);
    configure();
    ASSERT_TRUE(agent->start()) << agent->log();
    for (const auto& blob : blobs) ASSERT_EQ(ask(blob).status, 200u);
    for (const auto& blob : blobs) ASSERT_TRUE(eventually([&] { return ask(blob).header("X-Cistern-Cache") == "hit"; }));
    ASSERT_EQ(agent->stop(), 0);
    upstream.forget();
  }
  // Every blob is right, from here or from upstream; gives how many were hits.
  int all_right() {
    int hits = 0;
    for (const auto& blob : blobs) {
      auto answer = ask(blob);
      EXPECT_TRUE(answer.status != 200 || !answer.complete || answer.body == blob.bytes) << "nothing wrong is ever passed off as whole";
      if (!answer.complete) answer = ask(blob);
      EXPECT_TRUE(answer.complete && answer.body == blob.bytes);
      hits += answer.header("X-Cistern-Cache") == "hit" ? 1 : 0;
    }
    return hits;
  }
  std::filesystem::path blob_file() const { return stored_files().at(0); }
  std::vector<std::filesystem::path> index_files() const {
    std::vector<std::filesystem::path> files;
    for (const auto& file : stored_files()) {
      if (file.filename().string().rfind("index.db", 0) == 0) files.push_back(file);
    }
    return files;
  }
};

TEST_F(CrashDamage, AnUndamagedStoreIsSound) {
  const auto check = check_store();
  EXPECT_EQ(check.code, 0) << check.output;
  ASSERT_TRUE(agent->start());
  EXPECT_EQ(all_right(), 6);
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(CrashDamage, ATruncatedBlobIsFoundAndFetchedAgain) {
  std::filesystem::resize_file(blob_file(), 100000);
  const auto check = check_store();
  EXPECT_NE(check.code, 0);
  EXPECT_NE(check.output, "");
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_GE(all_right(), 5);
  EXPECT_EQ(upstream.count(), 1u);
  EXPECT_EQ(agent->stop(), 0);
  EXPECT_EQ(check_store().code, 0) << "and the store is sound again";
}

TEST_F(CrashDamage, AnEmptiedBlobIsFoundAndFetchedAgain) {
  std::filesystem::resize_file(blob_file(), 0);
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_GE(all_right(), 5);
  EXPECT_EQ(upstream.count(), 1u);
}

TEST_F(CrashDamage, ABlobThatHasGoneIsFetchedAgain) {
  std::filesystem::remove(blob_file());
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_GE(all_right(), 5);
  EXPECT_EQ(upstream.count(), 1u);
}

TEST_F(CrashDamage, AFlippedBitIsFoundByTheFullCheck) {
  const auto file = blob_file();
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(1000);
    const auto byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(1000);
    stream.put(byte);
  }
  const auto check = check_store();
  EXPECT_NE(check.code, 0);
  EXPECT_NE(check.output.find("problem"), std::string::npos) << check.output;
}

TEST_F(CrashDamage, ADamagedIndexIsRebuiltFromTheFiles) {
  const auto files = index_files();
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(0);
    stream << noise(std::min<std::size_t>(4096, std::filesystem::file_size(file)), 1);
  }
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(all_right(), 6);
  EXPECT_EQ(upstream.count(), 0u) << "nothing was lost";
}

TEST_F(CrashDamage, AnIndexThatIsNoDatabaseIsRebuiltFromTheFiles) {
  for (const auto& file : index_files()) std::ofstream(file, std::ios::binary | std::ios::trunc) << "this is not SQLite";
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(all_right(), 6);
  EXPECT_EQ(upstream.count(), 0u);
}

TEST_F(CrashDamage, ALostIndexIsRebuiltFromTheFiles) {
  for (const auto& file : index_files()) std::filesystem::remove(file);
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(all_right(), 6);
  EXPECT_EQ(upstream.count(), 0u);
  EXPECT_EQ(agent->stop(), 0);
  const auto check = check_store();
  EXPECT_EQ(check.code, 0) << check.output;
}

TEST_F(CrashDamage, ARebuiltIndexGivesNoRightThatWasNotThere) {
  for (const auto& file : index_files()) std::filesystem::remove(file);
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(get(agent->node(), blob_target("other/repository", blobs[0].digest) + "?ns=docker.io").status, 404u);
  EXPECT_EQ(upstream.count(), 1u) << "the upstream was asked";
}

TEST_F(CrashDamage, ForeignFilesInTheFolderDoNoHarm) {
  write_file(agent->storage() / "README", "mine");
  const auto folder = blob_file().parent_path();
  write_file(folder / "zz-not-a-blob", "garbage");
  ASSERT_TRUE(agent->start()) << agent->log();
  EXPECT_EQ(all_right(), 6);
}

}  // namespace
}  // namespace cistern::conformance
