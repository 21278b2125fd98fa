#include "cache-agent/ecosystem/oci/paging.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.hpp"
#include "base/text.hpp"

namespace cistern::oci {
namespace {

// Whether the parameters of a link ("; rel=\"next\"; title=…") say that it is the next page.
bool is_next(std::string_view parameters) {
  auto text = lower_case(parameters);
  text.erase(std::remove_if(text.begin(), text.end(), [](char c) { return c == ' ' || c == '\t' || c == '"'; }), text.end());
  const auto at = text.find(";rel=next");
  constexpr std::size_t kLength = 9;
  return at != std::string::npos && (at + kLength == text.size() || text[at + kLength] == ';');
}

// The target of the link that is the next page.
std::optional<std::string_view> next_target(std::string_view header) {
  while (true) {
    const auto open = header.find('<');
    if (open == std::string_view::npos) return std::nullopt;
    const auto close = header.find('>', open);
    if (close == std::string_view::npos) return std::nullopt;
    const auto following = std::min(header.find('<', close), header.size());
    auto parameters = header.substr(close + 1, following - close - 1);
    while (parameters.ends_with(' ') || parameters.ends_with(',')) parameters.remove_suffix(1);
    if (is_next(parameters)) return header.substr(open + 1, close - open - 1);
    header.remove_prefix(following);
  }
}

// The link's query without `ns`, which is ours to set; empty if it holds what does not belong in a header.
std::string query_of(std::string_view target) {
  target = target.substr(0, target.find('#'));
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return {};
  auto rest = target.substr(mark + 1);
  std::string query;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    const auto field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (field.empty() || field == "ns" || field.starts_with("ns=")) continue;
    if (!std::all_of(field.begin(), field.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '"'; })) return {};
    if (!query.empty()) query += '&';
    query += field;
  }
  return query;
}

}  // namespace

std::optional<std::string> rewrite_link(std::string_view link, const Request& request) {
  const auto target = next_target(link);
  if (!target) return std::nullopt;
  auto query = query_of(*target);
  if (query.empty()) return std::nullopt;  // it would be this very page again
  if (!request.ns.empty()) query += "&ns=" + percent_encode(request.ns);
  const auto prefix = request.prefix.empty() ? std::string() : request.prefix + '/';
  return fmt::format("</v2/{}{}{}?{}>; rel=\"next\"", prefix, request.repository, request.suffix(), query);
}

}  // namespace cistern::oci
