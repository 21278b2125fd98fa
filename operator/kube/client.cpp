#include "operator/kube/client.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <random>

#include "operator/kube/configuration.hpp"
#include "operator/kube/protocol.hpp"
#include "operator/kube/token.hpp"
#include "operator/kube/transport.hpp"

namespace cistern::kube {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::string_view kApplyPatch = "application/apply-patch+yaml";
constexpr std::string_view kPageSize = "500";
constexpr std::string_view kTrimmedPageSize = "100";  // of what is large before it is trimmed
// After that many expired continue tokens a list is asked for in one piece.
constexpr int kPagedTries = 2;
// Tries of a request whose connection fails: after 0.1, 0.2, 0.4, 0.8 and 1.6 s, each up to half as long again.
constexpr int kConnectionTries = 6;
constexpr milliseconds kFirstPause{100};
constexpr std::chrono::seconds kDefaultRetryAfter{1};

class RestClient final : public Client {
 public:
  RestClient(std::unique_ptr<Transport> transport, Configuration configuration, const ClientOptions& options)
      : transport_(std::move(transport)),
        token_(std::move(configuration.token), std::move(configuration.token_file)),
        timeout_(options.timeout) {}

  Result<Version> server_version() override;
  Result<Json> get(const Resource& resource, const ObjectKey& key) override;
  Result<Json> list(const Resource& resource, const Selection& selection) override;
  Result<Json> create(const Resource& resource, const Json& object) override;
  Result<Json> replace(const Resource& resource, const Json& object) override;
  Result<Json> apply(const Resource& resource, const Json& object, const ApplyOptions& options) override;
  Result<Json> merge_patch(const Resource& resource, const ObjectKey& key, const Json& patch, const std::string& subresource) override;
  Result<void> remove(const Resource& resource, const ObjectKey& key, const RemoveOptions& options) override;
  Result<void> watch(const Resource& resource, const WatchOptions& options, const std::function<void(WatchEvent)>& on_event,
                     std::stop_token stop) override;
  void interrupt() override { interrupted_.request_stop(); }

 private:
  struct Call {
    const Resource& resource;
    std::string what;  // for messages
    HttpRequest request;
    bool repeatable = true;
  };
  Call call(std::string_view verb, std::string method, const Resource& resource, const ObjectKey& key, std::string_view subresource,
            const Query& query) const;
  Result<void> check_key(const Call& call, const ObjectKey& key) const;
  Result<Json> perform(Call call);
  Result<Json> list_paged(const Resource& resource, const Selection& selection, std::string_view limit);
  // Whether there is time for it; false also when interrupted.
  bool pause(milliseconds duration, SteadyClock::time_point until);
  milliseconds pause_before(int attempt);

  const std::unique_ptr<Transport> transport_;
  TokenSource token_;
  const milliseconds timeout_;
  std::stop_source interrupted_;
  std::mutex mutex_;
  std::condition_variable_any never_;
  std::minstd_rand random_{std::random_device{}()};
};

// Text that is no UTF-8 can not be sent, and is no reason to fall over.
std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// What an API server answers to a request that it could not carry out now; the pause that it asks for.
std::optional<milliseconds> asked_to_wait(const HttpAnswer& answer) {
  if (answer.status == 429) return answer.retry_after.value_or(kDefaultRetryAfter);
  if (answer.status == 503) return answer.retry_after;
  return std::nullopt;
}

RestClient::Call RestClient::call(std::string_view verb, std::string method, const Resource& resource, const ObjectKey& key,
                                  std::string_view subresource, const Query& query) const {
  std::string what = fmt::format("{} {}", verb, resource.plural);
  if (const auto name = key.to_string(); !name.empty()) what += " " + name;
  if (!subresource.empty()) what += fmt::format(" ({})", subresource);
  return {resource, std::move(what), {std::move(method), path_of(resource, key, subresource) + query.text(), {}, {}, {}}};
}

// A path without a name would be the whole collection's.
Result<void> RestClient::check_key(const Call& call, const ObjectKey& key) const {
  if (key.name.empty()) return fail(ErrorCode::kInvalid, "{}: the object has no name", call.what);
  if (call.resource.namespaced && key.ns.empty()) return fail(ErrorCode::kInvalid, "{}: the object has no namespace", call.what);
  return {};
}

milliseconds RestClient::pause_before(int attempt) {
  const auto longest = kFirstPause * (1 << attempt);
  const std::lock_guard lock(mutex_);
  return longest + milliseconds(std::uniform_int_distribution<long>(0, longest.count() / 2)(random_));
}

bool RestClient::pause(milliseconds duration, SteadyClock::time_point until) {
  if (SteadyClock::now() + duration >= until) return false;
  std::unique_lock lock(mutex_);
  never_.wait_for(lock, interrupted_.get_token(), duration, [] { return false; });
  return !interrupted_.stop_requested();
}

Result<Json> RestClient::perform(Call call) {
  const auto until = SteadyClock::now() + timeout_;
  bool renewed = false;
  for (int failures = 0;;) {
    call.request.token = token_.current(SteadyClock::now());
    const auto left = std::chrono::ceil<milliseconds>(until - SteadyClock::now());
    auto answer = transport_->exchange(call.request, std::max(left, milliseconds(1)), interrupted_.get_token());
    if (!answer) {
      const auto& failure = answer.error();
      const bool again = failure.connection && (call.repeatable || failure.unsent) && ++failures < kConnectionTries;
      if (again && pause(pause_before(failures - 1), until)) continue;
      return fail(failure.error.in(call.what));
    }
    if (answer->status == 401 && !renewed && token_.renew(call.request.token, SteadyClock::now())) {
      renewed = true;
      continue;
    }
    if (const auto wait = asked_to_wait(*answer); wait && pause(*wait, until)) continue;
    if (answer->status < 200 || answer->status > 299) {
      return fail(to_error(answer->status, answer->body, call.what, call.resource, answer->retry_after));
    }
    Json parsed = Json::parse(answer->body, nullptr, false);
    if (!parsed.is_object()) return fail(ErrorCode::kUpstream, "{}: the answer is no JSON object", call.what);
    return parsed;
  }
}

Result<Version> RestClient::server_version() {
  static constexpr Resource kVersion{"", "", "version", "Version", false};
  Call asked{kVersion, "get the API server's version", {"GET", "/version", {}, {}, {}}};
  const auto answer = perform(std::move(asked));
  if (!answer) return fail(answer.error());
  Version version;
  // "34+" from some who build it themselves.
  const auto read = [&](const char* field, unsigned& number) {
    const auto found = answer->find(field);
    const auto text = found != answer->end() && found->is_string() ? found->get<std::string>() : std::string();
    return std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc();
  };
  if (!read("major", version.major) || !read("minor", version.minor)) {
    return fail(ErrorCode::kUpstream, "get the API server's version: the answer has no major and minor");
  }
  return version;
}

Result<Json> RestClient::get(const Resource& resource, const ObjectKey& key) {
  auto asked = call("get", "GET", resource, key, {}, {});
  if (auto checked = check_key(asked, key); !checked) return fail(checked.error());
  return perform(std::move(asked));
}

Result<Json> RestClient::list(const Resource& resource, const Selection& selection) {
  for (int tries = 0; tries < kPagedTries; ++tries) {
    auto list = list_paged(resource, selection, selection.trim ? kTrimmedPageSize : kPageSize);
    if (list || list.error().code != ErrorCode::kGone) return list;
  }
  return list_paged(resource, selection, {});
}

Result<Json> RestClient::list_paged(const Resource& resource, const Selection& selection, std::string_view limit) {
  Json whole;
  std::string next;
  do {
    Query query;
    query.add("labelSelector", selection.label_selector).add("fieldSelector", selection.field_selector);
    query.add("limit", limit).add("continue", next);
    auto page = perform(call("list", "GET", resource, {selection.ns, {}}, {}, query));
    if (!page) return page;
    if (!(*page)["items"].is_array()) (*page)["items"] = Json::array();  // Go writes an empty list as null
    if (selection.trim) {
      for (auto& item : (*page)["items"]) selection.trim(item);
    }
    next = metadata(*page, "continue");
    if (whole.is_null()) {
      whole = std::move(*page);
    } else {
      auto& items = whole["items"].get_ref<Json::array_t&>();
      auto& more = (*page)["items"].get_ref<Json::array_t&>();
      std::move(more.begin(), more.end(), std::back_inserter(items));
    }
  } while (!next.empty());
  if (whole["metadata"].is_object()) whole["metadata"].erase("continue");
  return whole;
}

Result<Json> RestClient::create(const Resource& resource, const Json& object) {
  const auto key = key_of(object);
  auto asked = call("create", "POST", resource, {key.ns, {}}, {}, Query().add("fieldManager", kFieldManager));
  if (!key.name.empty()) asked.what = fmt::format("create {} {}", resource.plural, key.to_string());
  asked.request.content_type = kJson;
  asked.request.body = to_text(object);
  asked.repeatable = false;
  return perform(std::move(asked));
}

Result<Json> RestClient::replace(const Resource& resource, const Json& object) {
  const auto key = key_of(object);
  auto asked = call("replace", "PUT", resource, key, {}, Query().add("fieldManager", kFieldManager));
  if (auto checked = check_key(asked, key); !checked) return fail(checked.error());
  asked.request.content_type = kJson;
  asked.request.body = to_text(object);
  return perform(std::move(asked));
}

Result<Json> RestClient::apply(const Resource& resource, const Json& object, const ApplyOptions& options) {
  const auto key = key_of(object);
  Query query;
  query.add("fieldManager", kFieldManager).add("force", options.force ? "true" : "");
  auto asked = call("apply", "PATCH", resource, key, options.subresource, query);
  if (auto checked = check_key(asked, key); !checked) return fail(checked.error());
  Json body = object;
  body["apiVersion"] = resource.api_version();
  body["kind"] = resource.kind;
  asked.request.content_type = kApplyPatch;
  asked.request.body = to_text(body);  // JSON is YAML
  return perform(std::move(asked));
}

Result<Json> RestClient::merge_patch(const Resource& resource, const ObjectKey& key, const Json& patch, const std::string& subresource) {
  auto asked = call("patch", "PATCH", resource, key, subresource, Query().add("fieldManager", kFieldManager));
  if (auto checked = check_key(asked, key); !checked) return fail(checked.error());
  asked.request.content_type = kMergePatch;
  asked.request.body = to_text(patch);
  return perform(std::move(asked));
}

Result<void> RestClient::remove(const Resource& resource, const ObjectKey& key, const RemoveOptions& options) {
  auto asked = call("delete", "DELETE", resource, key, {}, {});
  if (auto checked = check_key(asked, key); !checked) return fail(checked.error());
  Json body{{"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"propagationPolicy", options.propagation}};
  if (!options.uid.empty()) body["preconditions"] = {{"uid", options.uid}};
  asked.request.content_type = kJson;
  asked.request.body = to_text(body);
  const auto answer = perform(std::move(asked));
  if (!answer) return fail(answer.error());
  return {};
}

Result<void> RestClient::watch(const Resource& resource, const WatchOptions& options, const std::function<void(WatchEvent)>& on_event,
                               std::stop_token stop) {
  const auto& selection = options.selection;
  if (stop.stop_requested()) return fail(ErrorCode::kCancelled, "watch {}: cancelled", resource.plural);
  Query query;
  query.add("watch", "true").add("allowWatchBookmarks", "true").add("resourceVersion", options.resource_version);
  query.add("labelSelector", selection.label_selector).add("fieldSelector", selection.field_selector);
  query.add("timeoutSeconds", std::to_string(options.timeout.count()));
  auto asked = call("watch", "GET", resource, {selection.ns, {}}, {}, query);
  asked.request.token = token_.current(SteadyClock::now());
  std::stop_source either;
  const std::stop_callback on_stop(stop, [&] { either.request_stop(); });
  const std::stop_callback on_interrupt(interrupted_.get_token(), [&] { either.request_stop(); });
  WatchDecoder decoder(resource, asked.what);
  Result<void> decoded;
  const auto on_bytes = [&](std::string_view bytes) {
    if (bytes.empty() && options.on_open) options.on_open();
    decoded = decoder.feed(bytes, [&](WatchEvent event) {
      if (!either.stop_requested()) on_event(std::move(event));
    });
    return decoded.has_value() && !either.stop_requested();
  };
  const auto answer = transport_->stream(asked.request, timeout_, options.silence, on_bytes, either.get_token());
  if (either.stop_requested()) return fail(ErrorCode::kCancelled, "{}: cancelled", asked.what);
  if (!answer) return fail(answer.error().error.in(asked.what));
  if (!decoded) return decoded;
  if (answer->status == 401) token_.renew(asked.request.token, SteadyClock::now());
  if (answer->status != 200) return fail(to_error(answer->status, answer->body, asked.what, resource, answer->retry_after));
  if (decoder.is_within_line()) return fail(ErrorCode::kUpstream, "{}: the stream ended within an event", asked.what);
  return {};
}

}  // namespace

Result<std::unique_ptr<Client>> make_client(Configuration configuration, const ClientOptions& options) {
  auto transport = Transport::make(configuration, options);
  if (!transport) return fail(transport.error());
  return std::unique_ptr<Client>(std::make_unique<RestClient>(std::move(*transport), std::move(configuration), options));
}

}  // namespace cistern::kube
