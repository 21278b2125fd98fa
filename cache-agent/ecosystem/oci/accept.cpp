#include "cache-agent/ecosystem/oci/accept.hpp"

#include <algorithm>
#include <set>

#include "base/digest.hpp"
#include "base/text.hpp"

namespace cistern::oci {
namespace {

// What to ask with for a client that takes anything: every current type, so that a registry need not convert to an old one.
constexpr std::string_view kAll =
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, */*;q=0.5";
constexpr std::size_t kMaxKey = 256;

// Takes what is before the separator, trimmed.
std::string_view take(std::string_view& text, char separator) {
  const auto end = std::min(text.find(separator), text.size());
  const auto taken = trimmed(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

// "q=0", "q=0.0" …: not acceptable.
bool is_refused(std::string_view parameters) {
  while (!parameters.empty()) {
    const auto parameter = lower_case(take(parameters, ';'));
    if (parameter.starts_with("q=0") && parameter.find_first_not_of("0.", 2) == std::string::npos) return true;
  }
  return false;
}

// A media type is two tokens (RFC 9110 §5.6.2); anything else is not passed on to an upstream.
bool is_media_type(std::string_view type) {
  const auto token = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  const auto slash = type.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < type.size() &&
         std::all_of(type.begin(), type.begin() + slash, token) && std::all_of(type.begin() + slash + 1, type.end(), token);
}

void add_types(std::string_view value, std::set<std::string>& types) {
  while (!value.empty()) {
    auto entry = take(value, ',');
    auto type = lower_case(take(entry, ';'));
    if (is_media_type(type) && !is_refused(entry)) types.insert(std::move(type));
  }
}

std::string join(const std::set<std::string>& types, std::string_view separator) {
  std::string text;
  for (const auto& type : types) {
    if (!text.empty()) text += separator;
    text += type;
  }
  return text;
}

}  // namespace

AcceptSet accepted_types(const http::Headers& headers) {
  std::set<std::string> types;
  for (const auto& [name, value] : headers.all()) {
    if (http::equal_ignoring_case(name, "accept")) add_types(value, types);
  }
  if (types.empty() || types.contains("*/*") || types.contains("application/*")) return {"*", std::string(kAll)};
  AcceptSet set{join(types, ","), join(types, ", ")};
  if (set.key.size() > kMaxKey) set.key = Sha256::of(set.key).hex();
  return set;
}

}  // namespace cistern::oci
