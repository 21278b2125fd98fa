#include "operator/reconcile/counting_client.hpp"

#include <utility>

namespace cistern::reconcile {
namespace {

// The status behind an error; several have one code, of which the usual one is told.
std::string status_behind(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalid: return "422";
    case ErrorCode::kNotFound: return "404";
    case ErrorCode::kGone: return "410";
    case ErrorCode::kConflict: return "409";
    case ErrorCode::kForbidden: return "403";
    case ErrorCode::kTooManyRequests: return "429";
    default: return "<error>";
  }
}

template <class Answer>
Answer counted(Metrics& metrics, std::string_view verb, const kube::Resource& resource, Answer answer) {
  metrics.request(verb, resource.plural, answer ? "200" : status_behind(answer.error()));
  return answer;
}

}  // namespace

Result<kube::Version> CountingClient::server_version() {
  auto version = client_.server_version();
  metrics_.request("GET", "version", version ? "200" : status_behind(version.error()));
  return version;
}

Result<kube::Json> CountingClient::get(const kube::Resource& resource, const kube::ObjectKey& key) {
  return counted(metrics_, "GET", resource, client_.get(resource, key));
}

Result<kube::Json> CountingClient::list(const kube::Resource& resource, const kube::Selection& selection) {
  return counted(metrics_, "GET", resource, client_.list(resource, selection));
}

Result<kube::Json> CountingClient::create(const kube::Resource& resource, const kube::Json& object) {
  return counted(metrics_, "POST", resource, client_.create(resource, object));
}

Result<kube::Json> CountingClient::replace(const kube::Resource& resource, const kube::Json& object) {
  return counted(metrics_, "PUT", resource, client_.replace(resource, object));
}

Result<kube::Json> CountingClient::apply(const kube::Resource& resource, const kube::Json& object, const kube::ApplyOptions& options) {
  return counted(metrics_, "PATCH", resource, client_.apply(resource, object, options));
}

Result<kube::Json> CountingClient::merge_patch(const kube::Resource& resource, const kube::ObjectKey& key, const kube::Json& patch,
                                               const std::string& subresource) {
  return counted(metrics_, "PATCH", resource, client_.merge_patch(resource, key, patch, subresource));
}

Result<void> CountingClient::remove(const kube::Resource& resource, const kube::ObjectKey& key, const kube::RemoveOptions& options) {
  return counted(metrics_, "DELETE", resource, client_.remove(resource, key, options));
}

Result<void> CountingClient::watch(const kube::Resource& resource, const kube::WatchOptions& options,
                                   const std::function<void(kube::WatchEvent)>& on_event, std::stop_token stop) {
  return counted(metrics_, "GET", resource, client_.watch(resource, options, on_event, std::move(stop)));
}

}  // namespace cistern::reconcile
