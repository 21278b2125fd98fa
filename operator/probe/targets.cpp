#include "operator/probe/targets.hpp"

#include <algorithm>

#include "base/glob.hpp"

namespace cistern::probe {
namespace {

// As Go proxies want it: "!" and the small letter for each capital.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (capital) result += '!';
    result += capital ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return result;
}

bool would_ask(const config::GoView& view, const config::Upstream& upstream, std::string_view module) {
  if (matches_any_module_pattern(view.deny, module)) return false;
  const bool is_private = matches_any_module_pattern(view.private_patterns, module);
  return std::any_of(upstream.match.begin(), upstream.match.end(), [&](const std::string& pattern) {
    const bool catch_all = pattern.find_first_not_of("*/") == std::string::npos;
    return !(is_private && catch_all) && matches_module_pattern(pattern, module);
  });
}

}  // namespace

std::vector<Target> targets(const config::Config& config, const std::string& module) {
  const auto at = std::min(module.find('@'), module.size());
  const std::string name = module.substr(0, at);
  const auto archive = at < module.size() ? fmt::format("/{}/@v/{}.zip", escaped(name), escaped(module.substr(at + 1))) : std::string();
  std::vector<Target> all;
  for (const auto& view : config.go_views) {
    const auto list = view.name.empty() ? std::string("go") : "go ~" + view.name;
    for (const auto& upstream : view.upstreams) {
      const bool asked = !archive.empty() && would_ask(view, upstream, name);
      all.push_back({list, upstream, "/sumdb/sum.golang.org/supported", asked ? archive : std::string()});
    }
  }
  for (const auto& registry : config.registries) {
    for (const auto& upstream : registry.upstreams) all.push_back({registry.name, upstream, "/v2/", ""});
  }
  return all;
}

}  // namespace cistern::probe
