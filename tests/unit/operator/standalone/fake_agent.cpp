// Stands in for cache-agent: `fake_agent serve --config FILE`. Answers /healthz on the listener with the hash of its configuration, which
// it reloads when the file changes; what a bad day looks like is told by files beside FILE:
//   crash   exists: end with code 3 at once, and remove it
//   drain   exists: take its content in milliseconds to end after SIGTERM
// It writes `starts`, one line for each start, and `drained` when it has ended as asked.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "config/load.hpp"
#include "config/watch.hpp"

namespace {

volatile sig_atomic_t g_ending = 0;

int listen_on(const std::string& address) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0 || ::listen(listener, 16) != 0) std::exit(4);
  return listener;
}

void answer(int listener, const std::string& body) {
  pollfd waiting{listener, POLLIN, 0};
  if (::poll(&waiting, 1, 20) <= 0) return;
  const int client = ::accept(listener, nullptr, nullptr);
  char request[4096];
  [[maybe_unused]] const auto got = ::read(client, request, sizeof request);
  const std::string response = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  [[maybe_unused]] const auto sent = ::write(client, response.data(), response.size());
  ::close(client);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 5;
  namespace fs = std::filesystem;
  const fs::path file = argv[3];
  const fs::path folder = file.parent_path();
  std::ofstream(folder / "starts", std::ios::app) << ::getpid() << "\n";
  if (fs::remove(folder / "crash")) return 3;
  struct sigaction action {};
  action.sa_handler = [](int) { g_ending = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  auto loaded = cistern::config::load(file);
  if (!loaded) return 6;
  cistern::config::FileWatch watch;
  watch.watch(loaded->files);
  const int listener = listen_on(loaded->config.listeners.pods);
  while (g_ending == 0) {
    answer(listener, "{\"status\":\"ok\",\"config_hash\":\"" + loaded->hash + "\"}");
    if (!watch.changed()) continue;
    if (auto again = cistern::config::load(file)) loaded = std::move(again);
  }
  int drain = 0;
  std::ifstream(folder / "drain") >> drain;
  std::this_thread::sleep_for(std::chrono::milliseconds(drain));
  std::ofstream(folder / "drained") << "yes";
  return 0;
}
