#include "tests/fakes/places/places.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <mutex>
#include <random>
#include <system_error>

namespace cistern::fakes {

namespace {

std::filesystem::path parent_on(Medium medium) {
  const std::filesystem::path memory = "/dev/shm";
  std::error_code ignored;
  const bool usable = std::filesystem::is_directory(memory, ignored) && ::access(memory.c_str(), W_OK) == 0;
  return medium == Medium::kMemory && usable ? memory : std::filesystem::temp_directory_path();
}

// True if no other test has it, and from then on none gets it: an abstract name is given up when this process ends. A port that is only
// looked at is still free when a second test looks, a moment before the first one's program listens there.
bool reserve(unsigned short port) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const auto text = "cistern-test-port-" + std::to_string(port);
  std::copy(text.begin(), text.end(), name.sun_path + 1);  // after a zero: no file
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(socket, reinterpret_cast<sockaddr*>(&name), size) == 0) return true;  // and stays open
  ::close(socket);
  return false;
}

bool nobody_listens(const std::string& host, unsigned short port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool free = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return free;
}

}  // namespace

TemporaryFolder::TemporaryFolder(Medium medium) {
  std::string name = parent_on(medium) / "cistern-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  // Folders without write permission (Go's module cache) are not removed by remove_all for anybody but root.
  for (auto entry =
           std::filesystem::recursive_directory_iterator(path_, std::filesystem::directory_options::skip_permission_denied, ignored);
       !ignored && entry != std::filesystem::recursive_directory_iterator(); entry.increment(ignored)) {
    std::error_code unchanged;
    if (entry->is_directory(unchanged) && !entry->is_symlink(unchanged)) {
      std::filesystem::permissions(entry->path(), std::filesystem::perms::owner_all, std::filesystem::perm_options::add, unchanged);
    }
  }
  std::filesystem::remove_all(path_, ignored);
}

unsigned short free_port(const std::string& host, int count) {
  static std::mutex mutex;
  static std::mt19937 random{std::random_device{}()};
  const std::lock_guard lock(mutex);
  std::uniform_int_distribution<int> ports(20000, 32000);
  for (int tries = 0; tries < 1000; ++tries) {
    const auto port = static_cast<unsigned short>(ports(random));
    int free = 0;
    while (free < count && reserve(static_cast<unsigned short>(port + free)) &&
           nobody_listens(host, static_cast<unsigned short>(port + free)))
      ++free;
    if (free == count) return port;
  }
  return 0;
}

std::filesystem::path TemporaryFolder::write(const std::string& name, std::string_view content) const {
  auto file = path_ / name;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << content;
  return file;
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  const auto aside = path.parent_path() / ("." + path.filename().string() + ".new");
  std::ofstream(aside, std::ios::binary) << content;
  std::filesystem::rename(aside, path);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace cistern::fakes
