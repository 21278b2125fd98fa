// Quota and full disks.
#include <sys/mount.h>
#include <unistd.h>

#include <vector>

#include "oci_fixture.hpp"

namespace cistern::conformance {
namespace {

class OciSpace : public OciTest {
 protected:
  static Blob make_blob(unsigned number, std::size_t size = 1 << 20) { return Blob(noise(size, 100 + number)); }
  static std::string target_of(const Blob& blob) { return blob_target("team/app", blob.digest); }
};

// A file system of a given size, gone at the end.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    std::filesystem::create_directories(folder_ / "disk");
    mounted_ = ::mount("tmpfs", path().c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::string path() const { return (folder_ / "disk").string(); }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

TEST_F(OciSpace, Case19_WithinAQuotaTheOldestLeaveAndWhatIsUsedStays) {
  setup.storage = "size: 8Mi, memory: 0";
  const auto shared = make_blob(0);
  hub.on(target_of(shared), blob_reply(shared));
  start();
  EXPECT_EQ(ask(target_of(shared)).status, 200u);
  std::vector<Blob> blobs;
  for (unsigned i = 1; i <= 16; ++i) {
    blobs.push_back(make_blob(i));
    hub.on(target_of(blobs.back()), blob_reply(blobs.back()));
    EXPECT_TRUE(ask(target_of(blobs.back())).body == blobs.back().bytes) << i;
    EXPECT_EQ(cache_result(ask(target_of(shared))), "hit") << "a layer in use survives, after " << i;
    EXPECT_LE(agent->metric("cistern_store_bytes").value_or(0), 8 << 20);
  }
  EXPECT_EQ(cache_result(ask(target_of(blobs.back()))), "hit");
  EXPECT_EQ(cache_result(ask(target_of(blobs.front()))), "miss") << "the oldest has left";
  EXPECT_GE(agent->metric("cistern_store_evictions_total").value_or(0), 8);
}

TEST_F(OciSpace, Case19_AReaderFinishesWhatIsEvictedMeanwhile) {
  setup.storage = "size: 48Mi, memory: 0";
  const auto large = make_blob(0, 20 << 20);  // more than sockets hold
  hub.on(target_of(large), blob_reply(large));
  start();
  EXPECT_EQ(ask(target_of(large)).status, 200u);
  Connection slow(agent->node());
  slow.ask("GET", target_of(large) + "?ns=docker.io");
  auto answer = slow.read_head();
  EXPECT_EQ(cache_result(answer), "hit");
  slow.read_body(answer, 1000);
  for (unsigned i = 1; i <= 12; ++i) {
    const auto blob = make_blob(i, 4 << 20);
    hub.on(target_of(blob), blob_reply(blob));
    EXPECT_EQ(ask(target_of(blob)).status, 200u);
  }
  hub.forget();
  slow.read_body(answer);
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(answer.body == large.bytes);
  EXPECT_EQ(cache_result(ask(target_of(large))), "miss") << "it had been evicted";
}

TEST_F(OciSpace, Case20_OnAFullDiskABlobIsServedAndNotStored) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount a small file system";
  const SmallDisk disk("8m");
  if (!disk.mounted()) GTEST_SKIP() << "a tmpfs could not be mounted";
  setup.storage_path = disk.path() + "/store";
  setup.storage = "memory: 0";
  const auto large = make_blob(0, 16 << 20);
  const auto small = make_blob(1, 100000);
  hub.on(target_of(large), blob_reply(large));
  hub.on(target_of(small), blob_reply(small));
  start();
  EXPECT_EQ(ask(target_of(small)).status, 200u);
  for (int round = 0; round < 2; ++round) {
    const auto answer = ask(target_of(large));
    EXPECT_EQ(answer.status, 200u);
    EXPECT_TRUE(answer.complete);
    EXPECT_TRUE(answer.body == large.bytes);
  }
  EXPECT_EQ(hub.count("GET", target_of(large)), 2u);
  EXPECT_EQ(ask(target_of(small)).status, 200u);
}

TEST_F(OciSpace, Case20_AnObjectLargerThanTheQuotaIsServedAndNotStored) {
  setup.storage = "size: 4Mi, memory: 0";
  const auto large = make_blob(0, 8 << 20);
  hub.on(target_of(large), blob_reply(large));
  start();
  EXPECT_TRUE(ask(target_of(large)).body == large.bytes);
  EXPECT_TRUE(ask(target_of(large)).body == large.bytes);
  EXPECT_EQ(hub.count("GET", target_of(large)), 2u);
}

}  // namespace
}  // namespace cistern::conformance
