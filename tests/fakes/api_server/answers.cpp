// What each request comes to.
#include <fmt/format.h>

#include <cstdlib>
#include <vector>

#include "base/encoding.hpp"
#include "tests/fakes/api_server/connection.hpp"
#include "tests/fakes/api_server/selectors.hpp"

namespace cistern::fakes {
namespace {

using kube::Json;
using Failure = ObjectStore::Failure;

Json status_object(const Failure& failure) {
  return {{"kind", "Status"},         {"apiVersion", "v1"},         {"metadata", Json::object()}, {"status", "Failure"},
          {"reason", failure.reason}, {"message", failure.message}, {"code", failure.status}};
}

std::vector<std::string> segments(std::string_view path) {
  std::vector<std::string> found;
  while (!path.empty()) {
    path.remove_prefix(1);  // '/'
    const auto end = path.find('/');
    const auto segment = path.substr(0, end);
    found.push_back(percent_decode(segment).value_or(std::string(segment)));
    path.remove_prefix(segment.size());
  }
  return found;
}

}  // namespace

Place parse_place(std::string_view path) {
  const auto parts = segments(path);
  const std::size_t root = !parts.empty() && parts[0] == "apis" ? 3 : 2;
  if (parts.size() <= root || (parts[0] != "api" && parts[0] != "apis")) return {};
  Place place;
  for (std::size_t i = 0; i < root; ++i) place.collection += "/" + parts[i];
  std::size_t next = root;
  // A namespace is both a folder and an object of its own.
  if (parts[next] == "namespaces" && parts.size() > next + 2 && parts[next + 2] != "status" && parts[next + 2] != "finalize") {
    place.key.ns = parts[next + 1];
    next += 2;
  }
  place.collection += "/" + parts[next];
  if (parts.size() > next + 1) place.key.name = parts[next + 1];
  if (parts.size() > next + 2) place.subresource = parts[next + 2];
  return place;
}

ApiConnection::Answer ApiConnection::carry_out(const ApiRequest& request) {
  if (request.path == "/version") return {200, {{"major", "1"}, {"minor", "34+"}, {"gitVersion", "v1.34.2"}}};
  const auto place = parse_place(request.path);
  if (place.collection.empty()) return {404, status_object({404, "NotFound", "the server could not find the requested resource"})};
  const std::lock_guard lock(owner_.mutex_);
  owner_.changed_.notify_all();
  if (request.method != "GET") return change(request, place);
  if (place.key.name.empty()) return list(request, place);
  if (auto object = owner_.store_.find(place.collection, place.key)) return {200, std::move(*object)};
  const auto plural = place.collection.substr(place.collection.rfind('/') + 1);
  return {404, status_object({404, "NotFound", fmt::format("{} \"{}\" not found", plural, place.key.name)})};
}

// A continue token is "VERSION:NS/NAME", the last object given and the version of the first page.
ApiConnection::Answer ApiConnection::list(const ApiRequest& request, const Place& place) const {
  auto limit = std::strtoull(request.parameter("limit").c_str(), nullptr, 10);
  if (owner_.options_.page_limit > 0 && limit > 0) limit = std::min<unsigned long long>(limit, owner_.options_.page_limit);
  const auto token = request.parameter("continue");
  auto version = owner_.store_.version();
  kube::ObjectKey last;
  if (!token.empty()) {
    version = std::strtoull(token.c_str(), nullptr, 10);
    const auto key = token.substr(token.find(':') + 1);
    last = {key.substr(0, key.find('/')), key.substr(key.find('/') + 1)};
    if (version < owner_.store_.floor()) {
      return {410, status_object({410, "Expired", "The provided continue parameter is too old"})};
    }
  }
  Json items = Json::array();
  Json metadata{{"resourceVersion", std::to_string(version)}};
  std::string kind, api_version = place.collection.substr(place.collection.find('/', 1) + 1);
  for (auto& object : owner_.store_.list(place.collection)) {
    const auto key = kube::key_of(object);
    if (!selected(request, place, object) || (!token.empty() && key <= last)) continue;
    if (limit > 0 && items.size() == limit) {
      const auto given = kube::key_of(items.back());
      metadata["continue"] = fmt::format("{}:{}/{}", version, given.ns, given.name);
      break;
    }
    kind = object.value("kind", "");
    api_version = object.value("apiVersion", "");
    object.erase("kind");
    object.erase("apiVersion");
    items.push_back(std::move(object));
  }
  return {200, {{"kind", kind + "List"}, {"apiVersion", api_version}, {"metadata", std::move(metadata)}, {"items", std::move(items)}}};
}

ApiConnection::Answer ApiConnection::change(const ApiRequest& request, const Place& place) {
  auto& store = owner_.store_;
  Json body = Json::parse(request.body, nullptr, false);
  if (body.is_discarded() && !request.body.empty()) return {400, status_object({400, "BadRequest", "the body is not JSON"})};
  const auto part = place.subresource == "status" ? ObjectStore::Part::kStatus : ObjectStore::Part::kMain;
  ObjectStore::Outcome outcome;
  if (request.method == "POST") {
    if (!place.key.ns.empty()) body["metadata"]["namespace"] = place.key.ns;
    outcome = store.create(place.collection, std::move(body));
  } else if (request.method == "PUT") {
    outcome = store.replace(place.collection, place.key, std::move(body), part);
  } else if (request.method == "PATCH") {
    return patch(request, place, body);
  } else if (request.method == "DELETE") {
    const auto uid = body.is_object() ? body.value(Json::json_pointer("/preconditions/uid"), std::string()) : std::string();
    outcome = store.remove(place.collection, place.key, uid);
  } else {
    outcome.failure = Failure{405, "MethodNotAllowed", "the server does not allow this method on the requested resource"};
  }
  if (outcome.failure) return {outcome.failure->status, status_object(*outcome.failure)};
  return {outcome.created ? 201U : 200U, std::move(outcome.object)};
}

ApiConnection::Answer ApiConnection::patch(const ApiRequest& request, const Place& place, const Json& body) {
  auto& store = owner_.store_;
  const auto type = field(request.headers, "Content-Type");
  const auto part = place.subresource == "status" ? ObjectStore::Part::kStatus : ObjectStore::Part::kMain;
  ObjectStore::Outcome outcome;
  if (type == "application/merge-patch+json") {
    outcome = store.merge(place.collection, place.key, body, part);
  } else if (type != "application/apply-patch+yaml") {
    outcome.failure = Failure{415, "UnsupportedMediaType", "the body of the request was in an unknown format"};
  } else if (request.parameter("fieldManager").empty()) {
    outcome.failure = Failure{400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value"};
  } else if (!body.contains("kind") || !body.contains("apiVersion") || kube::key_of(body) != place.key) {
    outcome.failure = Failure{400, "BadRequest", "apiVersion, kind, metadata.name and metadata.namespace must be those of the path"};
  } else {
    outcome = store.apply(place.collection, place.key, body, request.parameter("fieldManager"), part);
  }
  if (outcome.failure) return {outcome.failure->status, status_object(*outcome.failure)};
  return {outcome.created ? 201U : 200U, std::move(outcome.object)};
}

}  // namespace cistern::fakes
