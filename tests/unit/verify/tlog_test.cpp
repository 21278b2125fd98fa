#include "cache-agent/verify/tlog.hpp"

#include <gtest/gtest.h>

#include <map>

namespace cistern::verify {
namespace {

// Leaves and roots that the implementations of Certificate Transparency test with.
const std::vector<std::string> kLeaves = {"", std::string("\0", 1), "\x10", " !", "01", "@ABC", "PQRSTUVW", "`abcdefghijklmno"};
const std::vector<std::string> kRoots = {
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};

Hash hash_of(const Node& node) {
  if (node.level == 0) return leaf_hash(kLeaves[node.index]);
  return node_hash(hash_of({node.level - 1, 2 * node.index}), hash_of({node.level - 1, 2 * node.index + 1}));
}

TEST(Log, HasTheRootsOfCertificateTransparency) {
  for (std::size_t size = 1; size <= kLeaves.size(); ++size) {
    std::vector<Hash> hashes;
    for (const Node& node : subtrees(size)) hashes.push_back(hash_of(node));
    EXPECT_EQ(root_of_subtrees(hashes).hex(), kRoots[size - 1]) << size;
  }
}

TEST(Log, WithoutRecordsHasTheHashOfNothing) {
  EXPECT_TRUE(subtrees(0).empty());
  EXPECT_EQ(root_of_subtrees({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Log, IsARowOfSubtreesLargestFirst) {
  EXPECT_EQ(subtrees(13), (std::vector<Node>{{3, 0}, {2, 2}, {0, 12}}));
  EXPECT_EQ(subtrees((std::uint64_t{1} << 63) - 1).size(), 63U);
}

TEST(TreeHead, IsRead) {
  const auto tree = parse_tree("go.sum database tree\n71999284\nq5+IcsQ9SCXC+pYmNIRIRUbPnH/iVuVw/N2fPtPImqw=\nfuture lines\n");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->size, 71999284U);
  EXPECT_EQ(tree->root.hex(),
            "ab9f8872c43d4825c2fa962634844845"
            "46cf9c7fe256e570fcdd9f3ed3c89aac");
}

TEST(TreeHead, IsRefusedWhenMalformed) {
  const std::string root = "q5+IcsQ9SCXC+pYmNIRIRUbPnH/iVuVw/N2fPtPImqw=\n";
  EXPECT_TRUE(parse_tree("go.sum database tree\n9223372036854775807\n" + root));
  for (const std::string& bad : std::vector<std::string>{
           std::string(), std::string("go.sum database tree\n"), "go.sum database tree v2\n1\n" + root, "go.sum database tree\n01\n" + root,
           "go.sum database tree\n-1\n" + root, "go.sum database tree\n+1\n" + root, "go.sum database tree\n\n" + root,
           "go.sum database tree\n9223372036854775808\n" + root, "go.sum database tree\n99999999999999999999999\n" + root,
           std::string("go.sum database tree\n1\nAAAA\n"), std::string("go.sum database tree\n1\n") + root.substr(0, root.size() - 1)}) {
    const auto tree = parse_tree(bad);
    ASSERT_FALSE(tree) << bad;
    EXPECT_EQ(tree.error().code, ErrorCode::kCorrupt);
  }
}

TEST(Lookup, IsReadAndWrittenBack) {
  const std::string body = "7\nm v1 h1:a\nm v1/go.mod h1:b\n\nnote\n\nsignature\n";
  const auto lookup = parse_lookup(body);
  ASSERT_TRUE(lookup);
  EXPECT_EQ(lookup->id, 7U);
  EXPECT_EQ(lookup->text, "m v1 h1:a\nm v1/go.mod h1:b\n");
  EXPECT_EQ(lookup->head, "note\n\nsignature\n");
  EXPECT_EQ(format_record(lookup->id, lookup->text) + lookup->head, body);
}

TEST(Lookup, IsRefusedWhenMalformed) {
  for (const std::string& bad :
       std::vector<std::string>{std::string(), std::string("7"), std::string("7\n"), std::string("x\na\n\n"), std::string("-7\na\n\n"),
                                std::string("7\n\n\nnote"), std::string("7\na\nnote"), std::string("7\na\tb\n\nnote"),
                                std::string("18446744073709551615\na\n\n"), std::string("7\n\xff\n\n")}) {
    EXPECT_FALSE(parse_lookup(bad)) << bad;
  }
}

TEST(DataTile, IsSplitIntoTexts) {
  EXPECT_EQ(split_data_tile("a\nb\n\nc\n\n").value(), (std::vector<std::string_view>{"a\nb\n", "c\n"}));
  EXPECT_FALSE(split_data_tile("a\n"));
  EXPECT_FALSE(split_data_tile("\n\n"));
  EXPECT_FALSE(split_data_tile("a\n\n\nb\n\n"));
}

}  // namespace
}  // namespace cistern::verify
