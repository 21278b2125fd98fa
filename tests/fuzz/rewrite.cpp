// link: cistern_rewrite
// A file is anything that a person keeps in a repository: only references change, there and back, and twice is once.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/text.hpp"
#include "operator/rewrite/edits.hpp"
#include "operator/rewrite/rewrite.hpp"

namespace {

using namespace cistern::rewrite;

const Mirror& mirror() {
  static const Mirror known{"127.0.0.1:5050", {"docker.io", "quay.io"}};
  return known;
}

std::string done(const std::string& text, Kind kind, Direction direction) {
  auto result = rewrite(text, "f", kind, mirror(), direction);
  if (!result) std::abort();
  return std::move(result->text);
}

// Without what rewriting may put in, and without case, which registries' names do not have.
std::string bare(const std::string& original) {
  auto text = cistern::lower_case(original);
  for (const std::string added : {"127.0.0.1:5050/", "index.docker.io/", "docker.io/", "library/", "quay.io/"}) {
    for (std::size_t at = 0; (at = text.find(added, at)) != std::string::npos;) text.erase(at, added.size());
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto kind : {Kind::kYaml, Kind::kDockerfile}) {
    const auto result = rewrite(text, "f", kind, mirror(), Direction::kToMirror);
    if (!result) continue;
    if (done(result->text, kind, Direction::kToMirror) != result->text) std::abort();
    if (bare(result->text) != bare(text)) std::abort();
    done(result->text, kind, Direction::kBack);
    if (unified_diff(text, result->text, "f").empty() != (text == result->text)) std::abort();
  }
  return 0;
}
