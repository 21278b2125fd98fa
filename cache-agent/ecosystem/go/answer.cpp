#include "cache-agent/ecosystem/go/answer.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "cache-agent/ecosystem/go/module.hpp"

namespace cistern::go {
namespace {

// A page, an image or the like, where text was expected.
bool is_text(std::string_view body) {
  for (const char c : body) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f) return false;
  }
  return true;
}

std::string text_of(const nlohmann::json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Bytes size_limit(Request::Kind kind) {
  switch (kind) {
    case Request::kList: return kMaxList;
    case Request::kMod: return kMaxMod;
    case Request::kZip: return kMaxZip;
    case Request::kSumDbLookup: return kMaxLookup;
    case Request::kSumDbTile: return kMaxTile;
    case Request::kLatest:
    case Request::kInfo:
    case Request::kSumDbSupported:
    case Request::kSumDbLatest: break;
  }
  return kMaxInfo;
}

Result<Info> check_info(const Request& request, std::string_view body) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::kUpstream, "the upstream's answer about {}@{} is not right: {}", request.module,
                request.kind == Request::kLatest ? "latest" : request.version, why);
  };
  if (body.size() > kMaxInfo.count) return wrong("it is too large");
  const auto object = nlohmann::json::parse(body, nullptr, false);
  if (!object.is_object()) return wrong("it is no JSON object");
  Info info{text_of(object, "Version"), text_of(object, "Time")};
  if (!is_canonical(info.version)) return wrong("its Version is not canonical");
  if (request.kind == Request::kInfo && request.canonical && info.version != request.version) {
    return wrong(fmt::format("it is about {}", info.version));
  }
  return info;
}

Result<std::string> check_list(std::string_view body) {
  if (body.size() > kMaxList.count) return fail(ErrorCode::kUpstream, "the upstream's version list is larger than {}", human(kMaxList));
  if (!is_text(body)) return fail(ErrorCode::kUpstream, "the upstream's version list is no text");
  std::string kept;
  kept.reserve(body.size());
  bool any_version = false;
  bool any_other = false;
  for (auto rest = body; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end);
    const auto from = line.find_first_not_of(" \t\r\n");
    if (from == std::string_view::npos) continue;
    const auto version = line.substr(from, line.find_first_of(" \t\r\n", from) - from);
    if (!is_semver(version)) {
      any_other = true;
      continue;
    }
    any_version = true;
    if (!is_pseudo_version(version)) kept += line;
  }
  if (any_other && !any_version) return fail(ErrorCode::kUpstream, "the upstream's version list holds no version but something else");
  return kept;
}

}  // namespace cistern::go
