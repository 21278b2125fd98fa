#include "operator/run/uninstall_steps.hpp"

namespace cistern::run {
namespace {

constexpr std::chrono::seconds kSayAgain{5};

}  // namespace

std::vector<kube::Json> UninstallSteps::list(const kube::Resource& resource, const kube::Selection& selection, const char* what) {
  auto listed = client_.list(resource, selection);
  if (listed) return listed->value("items", kube::Json::array()).get<std::vector<kube::Json>>();
  if (listed.error().code != ErrorCode::kNotFound) failures_.push_back(fmt::format("{}: {}", what, listed.error().message));
  return {};
}

std::vector<std::string> UninstallSteps::pods(const std::string& selector) {
  const auto listed = client_.list(kube::kPods, {settings_.ns, selector, ""});
  if (!listed) return {fmt::format("(unknown: {})", listed.error().message)};
  std::vector<std::string> names;
  for (const auto& pod : listed->value("items", kube::Json::array())) {
    const auto node = pod.value("spec", kube::Json::object()).value("nodeName", "");
    names.push_back(fmt::format("{} on node {}", kube::metadata(pod, "name"), node.empty() ? "(none)" : node));
  }
  return names;
}

std::vector<std::string> UninstallSteps::wait_until_gone(double part, const char* what,
                                                         const std::function<std::vector<std::string>()>& look) {
  auto left = look();
  auto said = clock_.steady();
  while (!left.empty() && !passed(part)) {
    std::this_thread::sleep_for(kLook);
    left = look();
    if (left.empty() || clock_.steady() - said < kSayAgain) continue;
    said = clock_.steady();
    say_(fmt::format("{}: waiting for {}, the first is {}", what, left.size(), left.front()));
  }
  return left;
}

}  // namespace cistern::run
