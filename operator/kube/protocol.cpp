#include "operator/kube/protocol.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.hpp"
#include "base/text.hpp"

namespace cistern::kube {
namespace {

// An API server's own messages are short; a proxy in front of it may answer with a page.
constexpr std::size_t kLongestMessage = 1000;
// An object has at most 1.5 MiB in etcd, somewhat more as JSON; more without a line break is no watch.
constexpr std::size_t kLongestLine = 64 << 20;
constexpr std::chrono::seconds kShortestPause{1};
constexpr std::chrono::seconds kLongestPause{300};

ErrorCode code_of(unsigned status) {
  switch (status) {
    case 401:
    case 403: return ErrorCode::kForbidden;
    case 404: return ErrorCode::kNotFound;
    case 408:
    case 504: return ErrorCode::kTimeout;
    case 409: return ErrorCode::kConflict;
    case 410: return ErrorCode::kGone;
    case 429: return ErrorCode::kTooManyRequests;
    default: return status >= 400 && status < 500 ? ErrorCode::kInvalid : ErrorCode::kUpstream;
  }
}

std::string text_of(const Json& object, std::string_view field) {
  const auto found = object.is_object() ? object.find(field) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The reason, and the fields that are wrong, without any value.
std::string discreet_message(const Json& status) {
  std::string message = text_of(status, "reason");
  const auto causes = Json::json_pointer("/details/causes");
  if (!status.is_object() || !status.contains(causes)) return message;
  for (const auto& cause : status.at(causes)) {
    if (const auto field = text_of(cause, "field"); !field.empty()) message += fmt::format(" {}", field);
  }
  return message;
}

std::string message_of(std::string_view body, const Resource& resource) {
  const Json status = Json::parse(body, nullptr, false);
  const bool known = status.is_object() && text_of(status, "kind") == "Status";
  if (resource == kSecrets) return known ? discreet_message(status) : std::string();
  std::string message = known ? text_of(status, "message") : std::string(trimmed(body.substr(0, body.find('\n'))));
  if (message.size() > kLongestMessage) message = message.substr(0, kLongestMessage) + " …";
  return message;
}

std::optional<std::chrono::seconds> retry_seconds(const Json& status) {
  const auto seconds = Json::json_pointer("/details/retryAfterSeconds");
  if (!status.is_object() || !status.contains(seconds) || !status.at(seconds).is_number_unsigned()) return std::nullopt;
  return pause_asked_for(status.at(seconds).get<std::uint64_t>());
}

}  // namespace

std::string path_of(const Resource& resource, const ObjectKey& key, std::string_view subresource) {
  std::string path =
      resource.group.empty() ? fmt::format("/api/{}", resource.version) : fmt::format("/apis/{}/{}", resource.group, resource.version);
  if (resource.namespaced && !key.ns.empty()) path += fmt::format("/namespaces/{}", percent_encode(key.ns));
  path += fmt::format("/{}", resource.plural);
  if (!key.name.empty()) path += fmt::format("/{}", percent_encode(key.name));
  if (!subresource.empty()) path += fmt::format("/{}", subresource);
  return path;
}

Query& Query::add(std::string_view name, std::string_view value) {
  if (!value.empty()) text_ += fmt::format("{}{}={}", text_.empty() ? '?' : '&', name, percent_encode(value));
  return *this;
}

std::chrono::seconds pause_asked_for(std::uint64_t seconds) {
  const auto longest = static_cast<std::uint64_t>(kLongestPause.count());
  return std::max(kShortestPause, std::chrono::seconds(std::min(seconds, longest)));
}

Error to_error(unsigned status, std::string_view body, std::string_view what, const Resource& resource,
               std::optional<std::chrono::seconds> retry_after) {
  const auto message = message_of(body, resource);
  // An API server's way to say that a field which it does not know was applied, or a value that its type can not hold. Another try would
  // end the same way.
  const bool unfit =
      status == 500 && (message.starts_with("failed to create typed patch object") || message.starts_with("failed to convert new object"));
  return Error{unfit ? ErrorCode::kInvalid : code_of(status), fmt::format("{}: {}{}{}", what, status, message.empty() ? "" : ": ", message),
               retry_after};
}

Result<void> WatchDecoder::feed(std::string_view bytes, const std::function<void(WatchEvent)>& on_event) {
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    rest_ += bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(rest_, {});
    if (trimmed(line).empty()) continue;
    auto decoded = event(line);
    if (!decoded) return fail(decoded.error());
    if (*decoded) on_event(std::move(**decoded));
  }
  rest_ += bytes;
  if (rest_.size() > kLongestLine) return fail(ErrorCode::kUpstream, "{}: an event of more than {} bytes", what_, kLongestLine);
  return {};
}

Result<std::optional<WatchEvent>> WatchDecoder::event(std::string_view line) const {
  Json parsed = Json::parse(line, nullptr, false);
  const auto type = parsed.is_object() ? text_of(parsed, "type") : std::string();
  if (type.empty() || !parsed.contains("object") || !parsed["object"].is_object()) {
    return fail(ErrorCode::kUpstream, "{}: a line that is no event", what_);
  }
  Json& object = parsed["object"];
  if (type == "ERROR") {
    const auto code = object.find("code");
    const unsigned status = code != object.end() && code->is_number_unsigned() ? code->get<unsigned>() : 500;
    return fail(to_error(status, object.dump(), what_, resource_, retry_seconds(object)));
  }
  const std::pair<std::string_view, WatchEvent::Type> types[] = {{"ADDED", WatchEvent::Type::kAdded},
                                                                 {"MODIFIED", WatchEvent::Type::kModified},
                                                                 {"DELETED", WatchEvent::Type::kDeleted},
                                                                 {"BOOKMARK", WatchEvent::Type::kBookmark}};
  for (const auto& [name, known] : types) {
    if (type == name) return WatchEvent{known, std::move(object)};
  }
  return std::optional<WatchEvent>();  // a type of a later API: nothing that we would know how to use
}

}  // namespace cistern::kube
