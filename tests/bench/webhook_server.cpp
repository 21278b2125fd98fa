// webhook_bench_server FOLDER NAMESPACES POLICIES: the operator's webhook by itself, on one thread, with the rules of a large cluster. It
// writes FOLDER/review-N.json (what to ask), then FOLDER/port; it ends with SIGTERM.
#include <csignal>
#include <fstream>
#include <iostream>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>

#include "operator/admission/certificates.hpp"
#include "operator/admission/endpoint.hpp"
#include "tests/unit/operator/admission/reviews.hpp"

int main(int count, char** arguments) {
  using namespace cistern;
  if (count != 4) return 2;
  const std::string folder = arguments[1];
  const auto namespaces = std::stoul(arguments[2]);
  // Lines are written as the operator writes them.
  spdlog::set_default_logger(spdlog::basic_logger_mt("log", folder + "/log"));
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  for (std::size_t i = 0; i < 100; ++i) {
    std::ofstream(folder + "/review-" + std::to_string(i) + ".json")
        << admission::test::realistic_review("ns-" + std::to_string(i * namespaces / 100));
  }
  admission::Endpoint endpoint(nullptr);
  endpoint.use(std::make_shared<const admission::Rules>(admission::test::large_rules(namespaces, std::stoul(arguments[3]))));
  const auto server = admission::open_server(endpoint, "127.0.0.1:0", 1);
  const auto step = admission::next_certificates({}, "", {"localhost"}, SystemClock().wall());
  if (!server || !step || !(*server)->use_certificate(0, step->data.at("tls.crt"), step->data.at("tls.key"))) {
    std::cerr << "the webhook could not be started\n";
    return 1;
  }
  (*server)->start();
  std::ofstream(folder + "/port.new") << (*server)->port(0);
  std::rename((folder + "/port.new").c_str(), (folder + "/port").c_str());
  int signal = 0;
  sigwait(&signals, &signal);
  (*server)->drain(std::chrono::milliseconds(100));
  return 0;
}
