// A client that counts its requests.
#pragma once

#include "operator/kube/client.hpp"
#include "operator/reconcile/metrics.hpp"

namespace cistern::reconcile {

// Thread-safe, as the client behind it is. Both outlive it.
class CountingClient final : public kube::Client {
 public:
  CountingClient(kube::Client& client, Metrics& metrics) : client_(client), metrics_(metrics) {}

  Result<kube::Version> server_version() override;
  Result<kube::Json> get(const kube::Resource& resource, const kube::ObjectKey& key) override;
  Result<kube::Json> list(const kube::Resource& resource, const kube::Selection& selection) override;
  Result<kube::Json> create(const kube::Resource& resource, const kube::Json& object) override;
  Result<kube::Json> replace(const kube::Resource& resource, const kube::Json& object) override;
  Result<kube::Json> apply(const kube::Resource& resource, const kube::Json& object, const kube::ApplyOptions& options) override;
  Result<kube::Json> merge_patch(const kube::Resource& resource, const kube::ObjectKey& key, const kube::Json& patch,
                                 const std::string& subresource) override;
  Result<void> remove(const kube::Resource& resource, const kube::ObjectKey& key, const kube::RemoveOptions& options) override;
  Result<void> watch(const kube::Resource& resource, const kube::WatchOptions& options,
                     const std::function<void(kube::WatchEvent)>& on_event, std::stop_token stop) override;
  void interrupt() override { client_.interrupt(); }

 private:
  kube::Client& client_;
  Metrics& metrics_;
};

}  // namespace cistern::reconcile
