// Files beside a test that hold what it expects. To take what is made now as right: CISTERN_UPDATE_GOLDEN=1.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "tests/fakes/places/places.hpp"

namespace cistern::render::test {

// `folder` holds exactly `files`: path below it → content.
inline void expect_recorded(const std::filesystem::path& folder, const std::map<std::string, std::string>& files) {
  namespace fs = std::filesystem;
  if (std::getenv("CISTERN_UPDATE_GOLDEN") != nullptr) {
    fs::remove_all(folder);
    for (const auto& [name, content] : files) fakes::write_file(folder / name, content);
  }
  ASSERT_TRUE(fs::is_directory(folder)) << folder << " is not recorded; run with CISTERN_UPDATE_GOLDEN=1";
  std::set<std::string> recorded;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) recorded.insert(fs::relative(entry.path(), folder).string());
  }
  for (const auto& [name, content] : files) {
    EXPECT_TRUE(recorded.erase(name)) << name << " is not recorded; run with CISTERN_UPDATE_GOLDEN=1 and look at the difference";
    EXPECT_EQ(content, fakes::read_file(folder / name)) << name;
  }
  EXPECT_TRUE(recorded.empty()) << *recorded.begin() << " is recorded, but not rendered";
}

}  // namespace cistern::render::test
