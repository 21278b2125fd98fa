// Programs that real clients need around them: a registry, a containerd, a way to the public Go proxy that can be cut.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/fakes/agent_process/agent.hpp"
#include "tests/fakes/artifacts/artifacts.hpp"
#include "tests/fakes/scripted_upstream/scripted_upstream.hpp"

namespace cistern::conformance {

using namespace fakes;  // NOLINT: a test's own vocabulary
using std::chrono::milliseconds;

// The first public proxy in `go env GOPROXY` if it answers; else empty.
std::string public_go_proxy();

// A GOPROXY on loopback that passes everything on to a public one, until it is told to be down.
class Relay {
 public:
  explicit Relay(std::string to);
  std::string url() const { return server_.url(); }
  std::size_t count() const { return server_.count(); }
  void go_down() { server_.go_down(); }

 private:
  std::string to_;
  ScriptedUpstream server_;
};

// What `go` is run with: an empty module cache below `folder`, nothing of the machine's settings, and no way out but loopback.
std::vector<std::string> go_environment(const std::filesystem::path& folder);
// Files of that ending in the module cache of go_environment(folder).
std::size_t downloaded(const std::filesystem::path& folder, const std::string& ending);

// An OCI layout in `folder`, as skopeo reads it: one image of that tag, or an index of several.
struct LayoutImage {
  std::string architecture;
  Image image;
};
void write_layout(const std::filesystem::path& folder, const std::string& tag, const std::vector<LayoutImage>& images);
// Small images with proper layers, one for each architecture.
std::vector<LayoutImage> small_images(const std::vector<std::string>& architectures, const std::string& text);

// Debian's docker-registry on loopback, empty.
class Registry {
 public:
  Registry();
  bool start();
  // Pushes with skopeo.
  Ended push(const std::string& repository, const std::string& tag, const std::vector<LayoutImage>& images);
  std::string url() const { return address_.url(); }
  std::string authority() const { return address_.text(); }
  void stop() { process_.reset(); }
  std::string log() const { return read_file(folder_ / "log"); }

 private:
  Address address_;
  TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
};

// A containerd of its own, with `ctr` to drive it. Needs root.
class Containerd {
 public:
  bool start();
  Ended pull(const std::filesystem::path& hosts_folder, const std::string& reference, const std::string& platform = {});
  Ended ctr(const std::vector<std::string>& arguments);
  std::string log() const { return read_file(folder_ / "log"); }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
};

// hosts.toml for one registry, as the operator makes it, that leads to the agent; strict: to nobody else.
void write_hosts(const std::filesystem::path& folder, const std::string& registry, const Address& agent, bool strict);

// Empty, or why such a test can not run here.
std::string missing(const std::vector<std::string>& programs, bool root = false);

}  // namespace cistern::conformance
