#include "cache-agent/upstream/client.hpp"

#include <algorithm>

#include "cache-agent/upstream/network_upstream.hpp"

namespace cistern::upstream {
namespace {

class NetworkClient final : public Client {
 public:
  explicit NetworkClient(Network network) : network_(std::move(network)) {}

  std::shared_ptr<Upstream> upstream(const config::Upstream& configuration, const Settings& settings) override {
    return make_network_upstream(network_, state_of(configuration), settings, Kind::kUpstream);
  }

  std::shared_ptr<Upstream> peer(const std::string& address, const Settings& settings) override {
    config::Upstream configuration;
    configuration.name = "peer";
    configuration.url = "http://" + address;
    return make_network_upstream(network_, state_of(configuration), settings, Kind::kPeer);
  }

  void stop() override { network_.loop->stop(); }

 private:
  std::shared_ptr<State> state_of(const config::Upstream& configuration) {
    const std::lock_guard lock(mutex_);
    std::erase_if(states_, [](const auto& state) { return state.expired(); });
    for (const auto& known : states_) {
      if (auto state = known.lock(); state != nullptr && state->configuration == configuration) return state;
    }
    auto state = std::make_shared<State>(*network_.clock, configuration);
    states_.push_back(state);
    return state;
  }

  Network network_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<State>> states_;
};

}  // namespace

std::unique_ptr<Client> make_client(const Clock& clock, Observer& observer, Options options) {
  return std::make_unique<NetworkClient>(
      Network{std::make_shared<Loop>(), &clock, &observer, std::make_shared<const Options>(std::move(options))});
}

std::unique_ptr<Client> Client::make(const Clock& clock, Observer& observer) {
  Options options;
  options.proxies = Proxies::from_environment();
  return make_client(clock, observer, std::move(options));
}

}  // namespace cistern::upstream
