#include "config/load.hpp"

#include <algorithm>
#include <set>

#include "config/checks.hpp"
#include "config/credentials.hpp"
#include "config/describe.hpp"
#include "config/files.hpp"
#include "yaml/bind.hpp"

namespace cistern::config {
namespace {

// What no single field can tell: names that must be unique, fields that need each other, and the files that are named. Fills in the
// defaults that depend on other fields.
class Finisher {
 public:
  Finisher(const yaml::Node& root, Files& files, yaml::Problems& problems) : root_(root), files_(files), problems_(problems) {}

  void finish(Config& config) {
    finish_listeners(config.listeners);
    if (config.storage.path.empty()) {
      add("storage.path", "is empty; write the folder that the cache may fill");
    } else {
      config.storage.path = files_.absolute(config.storage.path).string();
    }
    finish_views(config.go_views);
    finish_registries(config.registries);
    finish_peers(config.peers);
    if (config.rate_limit.burst == 0) config.rate_limit.burst = static_cast<unsigned>(std::min(1e6, config.rate_limit.requests_per_second));
  }

 private:
  void add(std::string_view path, std::string_view message) { problems_.add(yaml::nearest_node(root_, path).position, path, message); }

  // A certificate and its key: both or none; absolute and readable.
  void finish_key_pair(const std::string& path, std::string_view cert_field, std::string_view key_field, std::string& cert,
                       std::string& key) {
    if (cert.empty() != key.empty()) {
      add(yaml::join_path(path, cert.empty() ? key_field : cert_field),
          fmt::format("needs {} beside it", cert.empty() ? cert_field : key_field));
    }
    if (!cert.empty()) {
      if (auto read = files_.read_certificates(cert); !read) add(yaml::join_path(path, cert_field), read.error().message);
      cert = files_.absolute(cert).string();
    }
    if (!key.empty()) {
      if (auto read = files_.read(key); !read) add(yaml::join_path(path, key_field), read.error().message);
      key = files_.absolute(key).string();
    }
  }

  void finish_listeners(Listeners& listeners) {
    if (listeners.node.empty() && listeners.pods.empty()) {
      add("listeners", "nothing would be served; give node, pods or both an address, as in \"127.0.0.1:5050\"");
    }
    const bool any_port = listeners.admin.ends_with(":0");
    if (!listeners.admin.empty() && !any_port && (listeners.admin == listeners.node || listeners.admin == listeners.pods)) {
      add("listeners.admin", "is the address of another listener; give it a port of its own");
    }
    finish_key_pair("listeners", "tlsCertFile", "tlsKeyFile", listeners.tls_cert_file, listeners.tls_key_file);
  }

  void finish_views(std::vector<GoView>& views) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < views.size(); ++i) {
      GoView& view = views[i];
      const std::string path = fmt::format("go.views[{}]", i);
      if (!names.insert(view.name).second)
        add(path + ".name", fmt::format("a view \"{}\" is there already; give each its own name", view.name));
      if (i == 0 && !view.name.empty()) add(path + ".name", "the first view must be the one without a name, which is /go/");
      if (view.upstreams.empty()) add(path + ".upstreams", "must name at least one upstream");
      finish_upstreams(path, "", view.upstreams);
      finish_sumdb(path + ".sumDB", view.sumdb);
    }
  }

  void finish_sumdb(const std::string& path, SumDb& sumdb) {
    while (sumdb.url.ends_with('/')) sumdb.url.pop_back();
    if (auto completed = complete_sumdb(sumdb); !completed) add(path + ".key", completed.error().message);
  }

  void finish_registries(std::vector<Registry>& registries) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < registries.size(); ++i) {
      Registry& registry = registries[i];
      const std::string path = fmt::format("images.registries[{}]", i);
      if (!names.insert(registry.name).second) {
        add(path + ".name", fmt::format("the registry {} is there already; put its upstreams into one entry", registry.name));
      }
      if (registry.upstreams.empty()) add(path + ".upstreams", "must name at least one upstream");
      for (std::size_t k = 0; k < registry.upstreams.size(); ++k) {
        registry.upstreams[k].fallback = Fallback::kAny;
        finish_rewrites(fmt::format("{}.upstreams[{}].rewrite", path, k), registry.upstreams[k].rewrite);
      }
      finish_upstreams(path, registry.name, registry.upstreams);
    }
  }

  void finish_rewrites(const std::string& path, const std::vector<Rewrite>& rewrites) {
    for (std::size_t i = 0; i < rewrites.size(); ++i) {
      if (auto checked = check_rewrite(rewrites[i]); !checked) {
        add(fmt::format("{}[{}].replacement", path, i), checked.error().message);
      }
    }
  }

  void finish_upstreams(const std::string& owner, const std::string& registry, std::vector<Upstream>& upstreams) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < upstreams.size(); ++i) {
      Upstream& upstream = upstreams[i];
      const std::string path = fmt::format("{}.upstreams[{}]", owner, i);
      while (upstream.url.ends_with('/')) upstream.url.pop_back();
      const auto url = parse_url(upstream.url);
      if (!url) continue;  // already reported
      upstream.name = upstream_name(upstream.name, upstream.url);
      if (!names.insert(upstream.name).second) {
        add(path + ".name", fmt::format("an upstream \"{}\" is in this list already; give each its own name", upstream.name));
      }
      read_upstream_files(path, credential_hosts(registry, *url), upstream);
    }
  }

  void read_upstream_files(const std::string& path, const std::vector<std::string>& hosts, Upstream& upstream) {
    if (!upstream.credentials_folder.empty()) {
      if (auto read = files_.read_credentials(upstream.credentials_folder, hosts)) {
        upstream.credentials = std::move(*read);
      } else {
        add(path + ".credentials", read.error().message);
      }
    }
    if (!upstream.ca_file.empty()) {
      if (auto read = files_.read_certificates(upstream.ca_file)) {
        upstream.ca_pem = std::move(*read);
      } else {
        add(path + ".caFile", read.error().message);
      }
    }
    finish_key_pair(path, "clientCertFile", "clientKeyFile", upstream.client_cert_file, upstream.client_key_file);
  }

  void finish_peers(Peers& peers) {
    std::set<std::string> addresses;
    for (std::size_t i = 0; i < peers.list.size(); ++i) {
      if (!addresses.insert(peers.list[i].address).second) {
        add(fmt::format("peers.list[{}].address", i), fmt::format("{} is in the list already", peers.list[i].address));
      }
    }
    if (!peers.list.empty() && !peers.dns.empty()) add("peers.dns", "can not be used together with list; keep one of them");
    if (!peers.key_file.empty()) read_peer_keys(peers);
    if (!peers.enabled) return;
    if (peers.list.empty() && peers.dns.empty()) add("peers", "has no peers; give list or dns, or leave enabled out");
    if (!peers.list.empty() && peers.self.empty()) add("peers.self", "is required with list: this agent's address as the others list it");
    if (peers.key_file.empty()) add("peers.keyFile", "is required: a file of at least 16 random bytes that all peers share");
  }

  void read_peer_keys(Peers& peers) {
    const auto trimmed = [](std::string key) {
      if (key.ends_with('\n')) key.pop_back();
      return key;
    };
    if (auto key = files_.read(peers.key_file)) {
      peers.key = trimmed(std::move(*key));
      if (peers.key.size() < 16)
        add("peers.keyFile", fmt::format("{} holds fewer than 16 bytes", files_.absolute(peers.key_file).string()));
    } else {
      add("peers.keyFile", key.error().message);
    }
    if (auto previous = files_.read(peers.key_file + ".previous")) {
      peers.previous_key = trimmed(std::move(*previous));
    } else if (previous.error().code != ErrorCode::kNotFound) {
      add("peers.keyFile", previous.error().message);
    }
  }

  const yaml::Node& root_;
  Files& files_;
  yaml::Problems& problems_;
};

Result<Loaded> parse_with(std::string_view text, Files& files, const std::string& name) {
  auto documents = yaml::parse(text, name);
  if (!documents) return fail(documents.error());
  if (documents->size() != 1) return fail(ErrorCode::kInvalid, "{}: holds {} documents; write exactly one", name, documents->size());
  const yaml::Node& root = documents->front();
  Loaded loaded;
  yaml::Problems problems;
  yaml::read(root, "", problems, loaded.config);
  Finisher(root, files, problems).finish(loaded.config);
  if (!problems.empty()) return fail(problems.to_error());
  loaded.hash = files.hash();
  loaded.files = files.looked_for();
  return loaded;
}

}  // namespace

bool Registry::needs_credentials() const {
  return std::any_of(upstreams.begin(), upstreams.end(), [](const Upstream& upstream) {
    return !upstream.credentials_folder.empty() || upstream.credentials.has_value() || !upstream.client_key_file.empty();
  });
}

Result<Loaded> load(const std::filesystem::path& file) {
  Files files(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
  auto text = files.read(file.filename().string());
  if (!text) return fail(text.error());
  return parse_with(*text, files, file.string());
}

Result<Loaded> load_mounted(const std::map<std::string, std::string>& contents, const std::filesystem::path& folder,
                            const std::string& name) {
  Files files(folder, &contents);
  auto text = files.read(name);
  if (!text) return fail(text.error());
  return parse_with(*text, files, name);
}

Result<Loaded> parse(std::string_view yaml, const std::filesystem::path& folder, const std::string& name) {
  Files files(folder);
  files.add_to_hash(name, yaml);
  return parse_with(yaml, files, name);
}

std::string to_yaml(const Config& config) { return yaml::emit(yaml::write(config, yaml::Write::kChanged)); }

}  // namespace cistern::config
