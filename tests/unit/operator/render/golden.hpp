// Files beside a test that hold what it expects. To take what is made now as right: CISTERN_UPDATE_GOLDEN=1.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

namespace cistern::render::test {

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// `folder` holds exactly `files`: path below it → content.
inline void expect_recorded(const std::filesystem::path& folder, const std::map<std::string, std::string>& files) {
  namespace fs = std::filesystem;
  if (std::getenv("CISTERN_UPDATE_GOLDEN") != nullptr) {
    fs::remove_all(folder);
    for (const auto& [name, content] : files) {
      fs::create_directories((folder / name).parent_path());
      std::ofstream(folder / name, std::ios::binary) << content;
    }
  }
  ASSERT_TRUE(fs::is_directory(folder)) << folder << " is not recorded; run with CISTERN_UPDATE_GOLDEN=1";
  std::set<std::string> recorded;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) recorded.insert(fs::relative(entry.path(), folder).string());
  }
  for (const auto& [name, content] : files) {
    EXPECT_TRUE(recorded.erase(name)) << name << " is not recorded; run with CISTERN_UPDATE_GOLDEN=1 and look at the difference";
    EXPECT_EQ(content, content_of(folder / name)) << name;
  }
  EXPECT_TRUE(recorded.empty()) << *recorded.begin() << " is recorded, but not rendered";
}

}  // namespace cistern::render::test
