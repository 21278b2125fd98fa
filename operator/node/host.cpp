#include "operator/node/host.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace cistern::node {
namespace {

namespace fs = std::filesystem;

constexpr long kProbeLimit = 2000;  // milliseconds

std::size_t discard(const char*, std::size_t size, std::size_t count, void*) { return size * count; }

class RealHost final : public Host {
 public:
  Result<void> probe(const std::string& mirror) override;
  Result<void> reload_crio() override;
  Result<void> restart_containerd() override;
};

Result<void> RealHost::probe(const std::string& mirror) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  const std::string url = mirror + "/v2/";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS, kProbeLimit);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &discard);
  if (const CURLcode code = curl_easy_perform(curl.get()); code != CURLE_OK) {
    return fail(ErrorCode::kUnavailable, "GET {}: {}", url, curl_easy_strerror(code));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return fail(ErrorCode::kUpstream, "GET {}: answered {}, not 200", url, status);
  return {};
}

Result<void> RealHost::reload_crio() {
  bool any = false;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    const auto name = entry.path().filename().string();
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc() || pid <= 1) continue;
    std::ifstream in(entry.path() / "comm");
    std::string comm;
    if (!std::getline(in, comm) || comm != "crio") continue;
    if (::kill(pid, SIGHUP) != 0 && errno != ESRCH) return fail(system_error(errno, fmt::format("send SIGHUP to CRI-O (process {})", pid)));
    any = true;
  }
  if (any) return {};
  return fail(
      ErrorCode::kNotFound,
      "no process crio is in sight to be told of it; give the pod hostPID, or set auto_reload_registries = true in CRI-O's configuration");
}

// In the child, between fork and exec: only what is safe there.
[[noreturn]] void run_on_host(int mounts, char* const* arguments) {
  // The namespace brings its own root and working folder.
  if (::setns(mounts, CLONE_NEWNS) == 0) ::execv("/usr/bin/systemctl", arguments);
  ::_exit(127);
}

Result<void> RealHost::restart_containerd() {
  const int mounts = ::open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (mounts < 0) return fail(system_error(errno, "reach the host's mount namespace (needs hostPID and a privileged container)"));
  std::array<std::string, 3> words = {"systemctl", "restart", "containerd"};
  std::array<char*, 4> arguments = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  const pid_t child = ::fork();
  if (child == 0) run_on_host(mounts, arguments.data());
  ::close(mounts);
  if (child < 0) return fail(system_error(errno, "fork"));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
    return fail(ErrorCode::kUnavailable, "systemctl can not be run on the host (no systemd there, or the container is not privileged)");
  }
  return fail(ErrorCode::kUnavailable, "`systemctl restart containerd` failed (status {}); see its journal", status);
}

}  // namespace

std::unique_ptr<Host> make_host() { return std::make_unique<RealHost>(); }

}  // namespace cistern::node
