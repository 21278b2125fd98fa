#include "operator/init/first_policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/glob.hpp"
#include "config/checks.hpp"
#include "operator/model/describe.hpp"
#include "operator/model/parse.hpp"

namespace cistern::init {
namespace {

constexpr std::array<const char*, 5> kUsualRegistries = {"docker.io", "quay.io", "ghcr.io", "registry.k8s.io", "gcr.io"};

constexpr const char* kGoExample = R"(#
# To cache Go modules, add to spec, with the proxy that you use:
#   go:
#     upstreams:
#     - url: https://goproxy.io
)";

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// A URL without its user information.
std::string without_user(const std::string& url, bool& had_user) {
  const auto begin = url.find("://");
  if (begin == std::string::npos) return url;
  const auto end = std::min(url.find_first_of("/?#", begin + 3), url.size());
  const auto at = url.rfind('@', end);
  if (at == std::string::npos || at < begin) return url;
  had_user = true;
  return url.substr(0, begin + 3) + url.substr(at + 1);
}

bool is_ourselves(const config::Url& url) {
  return (url.host.starts_with("127.") || url.host == "localhost" || url.host == "::1") &&
         (url.path == "/go" || url.path.starts_with("/go/"));
}

// A name that the list does not have yet: the host, or the host and a number.
template <class Upstream>
std::string name_for(const std::vector<Upstream>& upstreams, const std::string& url) {
  const std::string host = config::upstream_name("", url);
  const auto taken = [&](const std::string& name) {
    return std::any_of(upstreams.begin(), upstreams.end(),
                       [&](const Upstream& known) { return config::upstream_name(known.name, known.url) == name; });
  };
  if (!taken(host)) return "";
  int number = 2;
  while (taken(fmt::format("{}-{}", host, number))) ++number;
  return fmt::format("{}-{}", host, number);
}

class Maker {
 public:
  explicit Maker(const Facts& facts) : facts_(facts) {}

  FirstPolicy make() {
    proxies();
    if (!spec_.settings.go.upstreams.empty()) {
      patterns();
      sumdb();
    }
    registries();
    return {text(), std::move(notes_)};
  }

 private:
  std::string variable(const char* name) const {
    const auto found = facts_.go.find(name);
    return found == facts_.go.end() ? "" : found->second;
  }

  // The separator behind an entry says when the next is asked: ',' after 404 and 410, '|' after any failure.
  void proxies() {
    std::string_view rest = facts_.go.contains("GOPROXY") ? std::string_view(facts_.go.at("GOPROXY")) : std::string_view();
    if (rest.empty()) note(fmt::format("GOPROXY is not set ({}): the policy has no section for Go", facts_.go_source));
    while (!rest.empty()) {
      const auto end = std::min(rest.find_first_of(",|"), rest.size());
      const std::string entry(rest.substr(0, end));
      const bool any = end < rest.size() && rest[end] == '|';
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (entry == "off") return note("GOPROXY says \"off\": nothing behind it is used");
      if (entry == "direct") {
        spec_.settings.go.allow_direct = true;
        return;
      }
      if (!entry.empty()) proxy(entry, any);
    }
  }

  void proxy(const std::string& entry, bool any) {
    bool had_user = false;
    model::GoUpstream upstream;
    upstream.url = without_user(entry, had_user);
    const auto url = config::parse_url(upstream.url);
    if (!url) return note("an entry of GOPROXY is no http or https URL, and is left out: " + upstream.url);
    if (is_ourselves(*url)) return note(fmt::format("{} in GOPROXY is Cistern itself, and is left out", upstream.url));
    if (had_user)
      note(
          fmt::format("GOPROXY holds credentials for {}: they were not written; put them into a Secret (standalone: the folder "
                      "credentials/NAME of the data folder) and name it in credentialsRef",
                      upstream.url));
    auto& upstreams = spec_.settings.go.upstreams;
    upstream.name = name_for(upstreams, upstream.url);
    upstream.fallback = any ? config::Fallback::kAny : config::Fallback::kNotFound;
    upstreams.push_back(std::move(upstream));
  }

  std::vector<std::string> patterns_of(const char* name) {
    std::vector<std::string> patterns = split(variable(name), ", ");
    std::erase_if(patterns, [&](const std::string& pattern) {
      if (pattern != "none" && !check_module_pattern(pattern))
        note(fmt::format("{} holds \"{}\", which is no pattern, and is left out", name, pattern));
      return pattern == "none" || !check_module_pattern(pattern);
    });
    return patterns;
  }

  void patterns() {
    auto& go = spec_.settings.go;
    go.private_patterns = patterns_of("GOPRIVATE");
    const auto is_private = [&](const std::string& pattern) {
      return std::find(go.private_patterns.begin(), go.private_patterns.end(), pattern) != go.private_patterns.end();
    };
    for (auto& pattern : patterns_of("GONOSUMDB")) {
      if (!is_private(pattern)) go.sumdb.exempt.push_back(std::move(pattern));
    }
    for (const auto& pattern : patterns_of("GONOPROXY")) {
      if (!is_private(pattern))
        note(
            fmt::format("GONOPROXY names {}, which GOPRIVATE does not: it will be asked of the upstreams; add it to "
                        "go.private if it must not be",
                        pattern));
    }
  }

  // "off", or a name or verifier key, and perhaps a URL.
  void sumdb() {
    auto& sumdb = spec_.settings.go.sumdb;
    auto parts = split(variable("GOSUMDB"), " ");
    if (parts.empty()) return;
    if (parts[0] == "off") {
      sumdb.mode = config::SumDbMode::kOff;
      return note("GOSUMDB is off: modules are not verified, as now; remove go.sumDB to have them verified");
    }
    // The go command knows this name for a mirror of sum.golang.org.
    if (parts[0] == "sum.golang.google.cn") parts = {"sum.golang.org", "https://sum.golang.google.cn"};
    sumdb.name = parts[0].substr(0, parts[0].find('+'));
    if (parts[0] != sumdb.name) sumdb.key = parts[0];
    if (parts.size() > 1 && config::check_url(parts[1])) sumdb.url = parts[1];
    if (!config::check_host(sumdb.name) || !config::check_verifier_key(sumdb.key) || !config::complete_sumdb(sumdb)) {
      note(fmt::format("GOSUMDB \"{}\" is not understood; sum.golang.org is used", parts[0]));
      sumdb = {};
    }
    if (sumdb.key == config::kSumGolangOrgKey) sumdb.key.clear();
  }

  void registries() {
    auto facts = facts_.registries;
    if (facts.empty()) {
      note("no container runtime's registry settings were found: the usual public registries are served from themselves");
      for (const auto* name : kUsualRegistries) facts.push_back({name, {home_of(name)}, false, ""});
    }
    for (const auto& fact : facts) {
      if (!config::check_registry(fact.name)) {
        note(fmt::format("{} names \"{}\", which is no registry, and is left out", fact.source, fact.name));
        continue;
      }
      model::Registry registry;
      registry.name = fact.name;
      for (const auto& endpoint : fact.endpoints) add_endpoint(fact, endpoint, registry);
      if (!registry.upstreams.empty()) spec_.settings.registries.push_back(std::move(registry));
    }
  }

  void add_endpoint(const RegistryFact& fact, const std::string& endpoint, model::Registry& registry) {
    bool had_user = false;
    model::ImageUpstream upstream;
    upstream.url = without_user(endpoint, had_user);
    if (had_user)
      note(fmt::format("{} holds credentials for {}: they were not written; name a Secret in credentialsRef", fact.source, fact.name));
    if (!config::check_url(upstream.url))
      return note(fmt::format("{} names a server that is no URL, and is left out: {}", fact.source, upstream.url));
    const auto same = [&](const model::ImageUpstream& known) { return known.url == upstream.url; };
    if (std::any_of(registry.upstreams.begin(), registry.upstreams.end(), same)) return;
    upstream.name = name_for(registry.upstreams, upstream.url);
    upstream.insecure_skip_verify = fact.insecure;
    registry.upstreams.push_back(std::move(upstream));
  }

  void note(std::string text) { notes_.push_back(std::move(text)); }

  std::string text() const {
    std::string head = "# The first policy, written by `cistern-operator init` from what this machine uses.\n";
    if (!spec_.settings.go.upstreams.empty()) {
      head += fmt::format("# Go: {}.\n", facts_.go_source);
    } else {
      head += kGoExample;
    }
    std::vector<std::string> sources;
    for (const auto& fact : facts_.registries) {
      if (std::find(sources.begin(), sources.end(), fact.source) == sources.end()) sources.push_back(fact.source);
    }
    for (const auto& source : sources) head += fmt::format("# Images: {}\n", source);
    const yaml::Json policy = {{"apiVersion", model::kApiVersion},
                               {"kind", model::kKind},
                               {"metadata", {{"name", "default"}}},
                               {"spec", yaml::write(spec_, yaml::Write::kChanged)}};
    return head + yaml::emit(policy);
  }

  const Facts& facts_;
  model::Spec spec_;
  std::vector<std::string> notes_;
};

}  // namespace

FirstPolicy first_policy(const Facts& facts) { return Maker(facts).make(); }

}  // namespace cistern::init
