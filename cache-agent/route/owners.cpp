#include "cache-agent/peers/sign.hpp"
#include "cache-agent/route/respond.hpp"

namespace cistern::route {
namespace {

// A peer, whose every request is signed as it goes out: a signature is good for one request.
class SignedPeer final : public upstream::Upstream {
 public:
  SignedPeer(const std::string& address, std::shared_ptr<upstream::Upstream> peer, std::string scope, std::string key, const Clock& clock)
      : name_("peer " + address), peer_(std::move(peer)), scope_(std::move(scope)), key_(std::move(key)), clock_(clock) {}

  const std::string& name() const override { return name_; }
  Awaitable<Result<std::unique_ptr<upstream::Transfer>>> open(upstream::Ask ask) override {
    const peers::Signable signable{ask.verb == upstream::Verb::kHead ? "HEAD" : "GET", ask.target, scope_};
    ask.headers.set(peers::kPeerHeader, peers::sign(signable, 1, key_, clock_.wall()));
    ask.headers.set(kScopeHeader, scope_);
    return peer_->open(std::move(ask));
  }
  upstream::Health health() const override { return peer_->health(); }
  void blame(std::string_view reason) override { peer_->blame(reason); }

 private:
  const std::string name_;
  const std::shared_ptr<upstream::Upstream> peer_;
  const std::string scope_;
  const std::string key_;
  const Clock& clock_;
};

}  // namespace

std::vector<cache::Source> owners(const std::shared_ptr<const Runtime>& runtime, const Asker& asker, std::string_view key,
                                  const upstream::Ask& ask) {
  std::vector<cache::Source> sources;
  auto* directory = runtime->directory();
  if (directory == nullptr || asker.peer) return sources;
  const auto& config = runtime->config().peers;
  const auto& engine = runtime->engine();
  for (const auto& address : directory->owners(key)) {
    auto peer = std::make_shared<SignedPeer>(address, engine.client.peer(address, runtime->settings()), std::string(asker.scope()),
                                             config.key, engine.clock);
    cache::Source source{std::move(peer), ask, config::Fallback::kAny, true, false, {}};
    source.ask.first_byte = config.timeout;
    source.ask.retry = false;
    source.outcome = [runtime, address](const upstream::Outcome& asked) {
      runtime->engine().metrics.peer_request("client", asked.ok ? "ok" : "failed");
      if (asked.ok) {
        runtime->directory()->ok(address);
      } else {
        runtime->directory()->failed(address);
      }
    };
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace cistern::route
