// SumDb over answers of sum.golang.org that were recorded (data/README.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/fakes/places/places.hpp"
#include "tests/unit/verify/scripted_source.hpp"

namespace cistern::verify {
namespace {

const std::string kData = (fakes::source_folder() / "tests/unit/verify/data/").string();

Result<std::string> recorded(const std::string& path) {
  auto content = fakes::read_file(kData + "sum.golang.org" + path);
  if (content.empty()) return fail(ErrorCode::kNotFound, "not recorded: {}", path);
  return content;
}

class Recorded final : public SumDbSource {
 public:
  Awaitable<Result<std::string>> fetch(std::string path) override { co_return recorded(path); }
  Awaitable<std::optional<std::string>> kept(std::string) override { co_return std::nullopt; }
  void keep(std::string path, std::string) override { kept_paths.insert(path); }
  void keep_head(std::string note) override { heads.push_back(std::move(note)); }
  std::set<std::string> kept_paths;
  std::vector<std::string> heads;
};

TEST(RealDatabase, ProvesALookupWithAnOlderHeadInItsLatestLog) {
  Recorded source;
  const fakes::ManualClock clock;
  SumDb::Settings settings;
  settings.key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
  const auto database = SumDb::create(settings, source, clock).value();
  ASSERT_EQ(run(database->latest()).value(), recorded("/latest").value());
  const auto zip = run(database->hash_of("rsc.io/quote", "v1.5.2", false));
  ASSERT_TRUE(zip) << zip.error().message;
  EXPECT_EQ(*zip, "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=");
  EXPECT_EQ(run(database->hash_of("rsc.io/quote", "v1.5.2", true)).value(), "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=");
  EXPECT_EQ(source.kept_paths.size(), 11U) << "ten tiles and the look-up";
  EXPECT_THAT(run(database->lookup("rsc.io/quote", "v1.5.2")).value(), testing::EndsWith(recorded("/latest").value()));
  EXPECT_EQ(run(database->tile("/tile/8/0/003.p/200")).value(), recorded("/tile/8/0/003")->substr(0, 200 * 32));
}

}  // namespace
}  // namespace cistern::verify
