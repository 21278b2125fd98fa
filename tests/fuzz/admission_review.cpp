// link: cistern_admission
// A review comes from the API server, its pod from anybody, and the listener takes bytes from whoever reaches it: whatever they are, the
// answer is 400, or allows; a patch can be applied, and what it makes needs no other.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/encoding.hpp"
#include "operator/admission/review.hpp"

namespace {

using namespace cistern;

const admission::Rules& rules() {
  static const auto made = [] {
    admission::Rules all;
    all.own_namespace = "cistern-system";
    for (const auto* policy : {"p", "overwrites", "asks"}) {
      auto& rules = all.policies[policy];
      rules.policy = policy;
      rules.profile = {"cistern.dev/profile", ""};
      rules.base = {
          model::InjectionMode::kOptOut, false, {{"GOPROXY", "http://p/go/"}, {"GONOPROXY", "none"}}, {"GOPROXY", "GONOPROXY"}, ""};
      rules.profiles["dev"] = {model::InjectionMode::kOptOut, false, {{"GOPROXY", "http://p/go/~dev/"}}, {"GOPROXY"}, ""};
      all.ready.insert(policy);
    }
    all.policies["overwrites"].base.overwrite = true;
    all.policies["asks"].base.mode = model::InjectionMode::kOptIn;
    all.namespaces["a"] = {{}, "p"};
    all.namespaces["b"] = {{{"cistern.dev/profile", "dev"}}, "p"};
    all.namespaces["c"] = {{}, "overwrites"};
    all.namespaces["d"] = {{{"cistern.dev/inject", "true"}}, "asks"};
    return all;
  }();
  return made;
}

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using admission::Json;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto reviewed = admission::review(&rules(), body);
  must(admission::review(nullptr, body).status == reviewed.status);
  if (reviewed.status == 400) return 0;
  must(reviewed.status == 200);
  const auto answer = Json::parse(reviewed.body);
  const auto& response = answer.at("response");
  const auto request = Json::parse(body).at("request");
  must(answer.at("kind") == "AdmissionReview" && answer.at("apiVersion") == "admission.k8s.io/v1");
  must(response.at("allowed") == true && response.at("uid") == request.at("uid"));
  must(response.contains("patch") == reviewed.decision.why_not.empty());
  // What was left out while reading was of no interest.
  const bool is_pod = !reviewed.ns.empty();
  if (is_pod) must(admission::decide(rules(), reviewed.ns, request.at("object")).patch == reviewed.decision.patch);
  if (!response.contains("patch")) return 0;
  auto again = request;
  again["object"] = request.at("object").patch(Json::parse(*from_base64(response.at("patch").get<std::string>())));
  must(again["object"] != request.at("object"));
  const Json second = {{"apiVersion", "admission.k8s.io/v1"}, {"kind", "AdmissionReview"}, {"request", again}};
  must(!Json::parse(admission::review(&rules(), second.dump()).body).at("response").contains("patch"));
  return 0;
}
