#include "operator/rewrite/rewrite.hpp"

#include <re2/re2.h>

#include "base/text.hpp"
#include "operator/rewrite/dockerfile.hpp"
#include "operator/rewrite/edits.hpp"
#include "operator/rewrite/yaml_images.hpp"

namespace cistern::rewrite {
namespace {

constexpr std::size_t kLargest = 16 << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

Kind kind_of(const std::string& file, std::string_view text) {
  static const RE2 kDockerfile(R"((.*/)?((docker|container)file(\.[^/]*)?|[^/]*\.(docker|container)file))");
  static const RE2 kYaml(R"(.*\.(ya?ml|json))");
  static const RE2 kInstruction(R"((?i)\x{FEFF}?(\s*(#[^\n]*)?\n)*\s*(FROM|ARG)[ \t])");
  const auto name = lower_case(file);
  if (RE2::FullMatch(name, kYaml)) return Kind::kYaml;
  if (RE2::FullMatch(name, kDockerfile)) return Kind::kDockerfile;
  re2::StringPiece rest(text.data(), text.size());
  return RE2::Consume(&rest, kInstruction) ? Kind::kDockerfile : Kind::kYaml;
}

Result<Rewritten> rewrite(std::string_view text, const std::string& file, Kind kind, const Mirror& mirror, Direction direction) {
  if (text.size() > kLargest)
    return fail(ErrorCode::kInvalid, "{}: the file has {} bytes; more than {} are not read", file, text.size(), kLargest);
  if (!is_utf8(text)) return fail(ErrorCode::kInvalid, "{}: the file is not UTF-8 text", file);
  const auto mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const auto body = text.substr(mark);
  Edits edits(body, mirror, direction);
  if (kind == Kind::kDockerfile) {
    find_in_dockerfile(body, edits);
  } else if (auto found = find_in_yaml(body, file, edits); !found) {
    return fail(found.error());
  }
  Rewritten result{std::string(text.substr(0, mark)) + edits.applied(), {}};
  for (const auto& remark : edits.remarks()) result.remarks.push_back(fmt::format("{}:{}: {}", file, remark.line, remark.text));
  return result;
}

}  // namespace cistern::rewrite
