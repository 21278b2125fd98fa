#include "clients_fixture.hpp"

#include <unistd.h>

#include <algorithm>

#include "operator/render/runtime.hpp"

namespace cistern::conformance {

std::string public_go_proxy() {
  auto list = run({.arguments = {"go", "env", "GOPROXY"}, .environment = {"GOTOOLCHAIN=local"}}).output;
  list = list.substr(0, list.find_first_of(",|\n"));
  if (list.rfind("http", 0) != 0) return {};
  while (list.ends_with('/')) list.pop_back();
  return curl_get(list + "/golang.org/x/text/@v/v0.3.7.info").status == 200 ? list : std::string();
}

Relay::Relay(std::string to) : to_(std::move(to)) {
  server_.on_prefix("/", [this](const Asked& asked) {
    const auto answer = curl_get(to_ + asked.target);
    if (!answer.complete) return Reply{.status = 502};
    return Reply{.status = answer.status, .headers = {{"Content-Type", answer.header("Content-Type")}}, .body = answer.body};
  });
}

std::vector<std::string> go_environment(const std::filesystem::path& folder) {
  const auto at = [&](const std::string& name) { return (folder / name).string(); };
  return {"HOME=" + at("home"), "GOPATH=" + at("go"), "GOMODCACHE=" + at("go/pkg/mod"), "GOCACHE=" + at("cache"), "GOENV=off",
          "GOTOOLCHAIN=local", "GOFLAGS=-mod=mod", "GOWORK=off", "GO111MODULE=on", "GOSUMDB=sum.golang.org",
          "GOPRIVATE=", "GONOSUMDB=", "GONOPROXY=none", "GONOSUMCHECK", "GOINSECURE=",
          // Nobody listens on port 1: whoever goes past the agent fails.
          "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1",
          "https_proxy=http://127.0.0.1:1", "NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost"};
}

std::size_t downloaded(const std::filesystem::path& folder, const std::string& ending) {
  std::size_t count = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / "go/pkg/mod/cache/download", none)) {
    count += entry.path().extension() == ending ? 1 : 0;
  }
  return count;
}

void write_layout(const std::filesystem::path& folder, const std::string& tag, const std::vector<LayoutImage>& images) {
  const auto put = [&](const Blob& blob) { write_file(folder / "blobs/sha256" / blob.digest.substr(7), blob.bytes); };
  std::vector<std::pair<std::string, Image>> by_architecture;
  for (const auto& one : images) {
    put(one.image.config);
    for (const auto& layer : one.image.layers) put(layer);
    put(one.image.manifest);
    by_architecture.emplace_back(one.architecture, one.image);
  }
  const auto index = make_index(by_architecture);
  if (images.size() > 1) put(index);
  const auto& top = images.size() > 1 ? index : images[0].image.manifest;
  write_file(folder / "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  write_file(folder / "index.json", std::string(R"({"schemaVersion":2,"manifests":[{"mediaType":")") +
                                        (images.size() > 1 ? kIndexType : kManifestType) + "\",\"digest\":\"" + top.digest +
                                        "\",\"size\":" + std::to_string(top.bytes.size()) +
                                        ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"" + tag + "\"}}]}");
}

std::vector<LayoutImage> small_images(const std::vector<std::string>& architectures, const std::string& text) {
  const Blob shared(make_tar("shared.txt", text + std::string(100000, 's')));
  std::vector<LayoutImage> images;
  for (const auto& architecture : architectures) {
    const Blob own(make_tar("arch.txt", text + architecture));
    images.push_back({architecture, make_image_of({shared, own}, {shared.digest, own.digest}, architecture)});
  }
  return images;
}

Registry::Registry() { address_.port = free_port(); }

bool Registry::start() {
  write_file(folder_ / "config.yml", "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: \"" +
                                         (folder_ / "data").string() + "\"}}\nhttp: {addr: \"" + address_.text() + "\"}\n");
  process_ =
      std::make_unique<Process>(Command{.arguments = {"docker-registry", "serve", (folder_ / "config.yml").string()}}, folder_ / "log");
  return eventually([&] { return get(address_, "/v2/").status == 200; }, std::chrono::seconds(20));
}

Ended Registry::push(const std::string& repository, const std::string& tag, const std::vector<LayoutImage>& images) {
  const auto layout = folder_ / ("layout-" + tag);
  write_layout(layout, tag, images);
  return run({.arguments = {"skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false", "oci:" + layout.string() + ":" + tag,
                            "docker://" + authority() + "/" + repository + ":" + tag}});
}

bool Containerd::start() {
  std::string disabled;
  for (const auto* plugin : {"grpc.v1.cri", "internal.v1.opt", "snapshotter.v1.btrfs", "snapshotter.v1.zfs", "snapshotter.v1.aufs",
                             "snapshotter.v1.devmapper"}) {
    disabled += (disabled.empty() ? "\"io.containerd." : ", \"io.containerd.") + std::string(plugin) + "\"";
  }
  const auto at = [&](const std::string& name) { return "\"" + (folder_ / name).string() + "\""; };
  write_file(folder_ / "config.toml", "version = 2\nroot = " + at("root") + "\nstate = " + at("state") + "\ndisabled_plugins = [" +
                                          disabled + "]\n[grpc]\naddress = " + at("sock") + "\n[ttrpc]\naddress = " + at("ttrpc") + "\n");
  process_ =
      std::make_unique<Process>(Command{.arguments = {"containerd", "--config", (folder_ / "config.toml").string()}}, folder_ / "log");
  return eventually([&] { return ctr({"version"}).code == 0; }, std::chrono::seconds(20));
}

Ended Containerd::ctr(const std::vector<std::string>& arguments) {
  Command command{.arguments = {"ctr", "--address", (folder_ / "sock").string()}};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  return run(command);
}

Ended Containerd::pull(const std::filesystem::path& hosts_folder, const std::string& reference, const std::string& platform) {
  std::vector<std::string> arguments{"images", "pull", "--snapshotter", "native", "--hosts-dir", hosts_folder.string()};
  if (!platform.empty()) arguments.insert(arguments.end(), {"--platform", platform});
  arguments.push_back(reference);
  return ctr(arguments);
}

void write_hosts(const std::filesystem::path& folder, const std::string& registry, const Address& agent, bool strict) {
  model::Registry settings;
  settings.name = registry;
  settings.fallback_to_source = !strict;
  write_file(folder / registry / "hosts.toml", render::hosts_toml(settings, agent.url()));
}

std::string missing(const std::vector<std::string>& programs, bool root) {
  if (root && ::geteuid() != 0) return "needs root";
  for (const auto& name : programs) {
    if (find_program(name).empty()) return name + " is not installed";
  }
  return {};
}

}  // namespace cistern::conformance
