// A client that takes every write, remembers it, and answers with what it was given.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "operator/kube/client.hpp"

namespace cistern::reconcile {

class RecordingClient final : public kube::Client {
 public:
  using Json = kube::Json;
  std::vector<Json> applied;
  std::vector<Json> replaced;
  std::vector<std::pair<kube::ObjectKey, kube::RemoveOptions>> removed;
  kube::ApplyOptions options;
  Json last_answer;
  std::function<Json(Json)> answer = [](Json object) { return object; };
  std::optional<Error> failure;
  std::optional<Json> stored;  // what get finds

  Result<Json> apply(const kube::Resource&, const Json& object, const kube::ApplyOptions& how) override {
    if (failure) return fail(*failure);
    applied.push_back(object);
    options = how;
    return last_answer = answer(object);
  }
  Result<void> remove(const kube::Resource&, const kube::ObjectKey& key, const kube::RemoveOptions& how) override {
    if (failure) return fail(*failure);
    removed.emplace_back(key, how);
    return {};
  }
  Result<kube::Version> server_version() override { return kube::Version{1, 34}; }
  Result<Json> get(const kube::Resource&, const kube::ObjectKey&) override { return stored ? Result<Json>(*stored) : nothing(); }
  Result<Json> list(const kube::Resource&, const kube::Selection&) override { return nothing(); }
  Result<Json> create(const kube::Resource&, const Json&) override { return nothing(); }
  Result<Json> replace(const kube::Resource&, const Json& object) override {
    replaced.push_back(object);
    return last_answer = object;
  }
  Result<Json> merge_patch(const kube::Resource&, const kube::ObjectKey&, const Json&, const std::string&) override { return nothing(); }
  Result<void> watch(const kube::Resource&, const kube::WatchOptions&, const std::function<void(kube::WatchEvent)>&,
                     std::stop_token) override {
    return fail(ErrorCode::kCancelled, "nothing to watch");
  }

 private:
  static Failure nothing() { return fail(ErrorCode::kNotFound, "nothing here"); }
};

}  // namespace cistern::reconcile
