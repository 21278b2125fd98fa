#include "operator/admission/review.hpp"

#include <fmt/format.h>

#include "base/encoding.hpp"
#include "operator/admission/pod_patch.hpp"
#include "operator/admission/review_reader.hpp"

namespace cistern::admission {
namespace {

constexpr std::string_view kApiVersion = "admission.k8s.io/v1";
constexpr std::string_view kKind = "AdmissionReview";

Reviewed refused(std::string_view what) {
  Reviewed reviewed;
  reviewed.status = 400;
  reviewed.body = fmt::format("{}; expected is a {} of {}", what, kKind, kApiVersion);
  return reviewed;
}

// Whether the request is what the webhook's rule names: CREATE of core/v1 pods, and none of their subresources.
bool creates_pod(const Json& request) {
  const auto* resource = member(request, "resource");
  return text(&request, "operation") == "CREATE" && text(&request, "subResource").empty() && text(resource, "group").empty() &&
         text(resource, "version") == "v1" && text(resource, "resource") == "pods";
}

std::string name_of(const Json& pod) {
  const auto* metadata = member(pod, "metadata");
  if (const auto name = text(metadata, "name"); !name.empty()) return std::string(name);
  const auto prefix = text(metadata, "generateName");
  return prefix.empty() ? "" : std::string(prefix) + "*";
}

std::string answer(std::string_view uid, const Json& patch) {
  // Only the uid needs escapes.
  const auto change = patch.empty() ? "" : fmt::format(R"(,"patchType":"JSONPatch","patch":"{}")", to_base64(patch.dump()));
  return fmt::format(R"({{"apiVersion":"{}","kind":"{}","response":{{"uid":{},"allowed":true{}}}}})", kApiVersion, kKind, Json(uid).dump(),
                     change);
}

}  // namespace

Reviewed review(const Rules* rules, std::string_view body) {
  const auto read = read_review(body);
  if (!read) return refused("the body is no JSON");
  const Json& document = *read;
  if (text(&document, "kind") != kKind) return refused("the body is no AdmissionReview");
  if (text(&document, "apiVersion") != kApiVersion) return refused("the review is of another version");
  const auto* request = member(document, "request");
  const auto uid = text(request, "uid");
  if (uid.empty()) return refused("the review has no request with a uid");
  Reviewed reviewed;
  const auto* pod = member(*request, "object");
  if (!creates_pod(*request) || pod == nullptr || !pod->is_object()) {
    reviewed.decision.why_not = "only the creation of pods is looked at";
  } else if (rules == nullptr) {
    reviewed.decision.why_not = "the policies and namespaces have not been listed yet";
  } else {
    reviewed.ns = text(request, "namespace");
    reviewed.pod = name_of(*pod);
    reviewed.decision = decide(*rules, reviewed.ns, *pod);
  }
  reviewed.body = answer(uid, reviewed.decision.patch);
  return reviewed;
}

}  // namespace cistern::admission
