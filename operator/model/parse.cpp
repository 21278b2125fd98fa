#include "operator/model/parse.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>

#include "operator/model/describe.hpp"
#include "operator/model/validate.hpp"

namespace cistern::model {
namespace {

using yaml::Node;
using yaml::Problems;

Result<void> check_equal(const std::string& value, std::string_view wanted) {
  if (value == wanted) return {};
  return fail(ErrorCode::kInvalid, "\"{}\" is not known here; write {}", value, wanted);
}

Policy read_policy(const Node& document, Problems& problems) {
  Policy policy;
  if (document.kind != Node::Kind::kMap) {
    problems.add(document.position, "", fmt::format("a {} must be a map, not {}", kKind, describe_value(document)));
    return policy;
  }
  yaml::Reader reader(document, "", problems, yaml::Completeness::kWhole);
  std::string text;
  reader.required("apiVersion", text, [](const std::string& value) { return check_equal(value, kApiVersion); });
  reader.required("kind", text, [](const std::string& value) { return check_equal(value, kKind); });
  reader.required("metadata", policy.metadata);
  reader.required("spec", policy.spec);
  reader.skip("status");
  reader.finish();
  if (const Node* spec = document.find("spec")) policy.source = *spec;
  return policy;
}

Result<Policy> checked_policy(const Node& document) {
  Problems problems;
  Policy policy = read_policy(document, problems);
  if (problems.empty()) validate(policy, problems);
  if (!problems.empty()) return fail(problems.to_error());
  return policy;
}

// `kubectl create --dry-run -o yaml` writes "creationTimestamp: null", which says nothing.
void drop_missing_timestamp(Node& document) {
  Node* metadata = document.find("metadata");
  if (metadata == nullptr) return;
  std::erase_if(metadata->children, [](const Node& child) { return child.key == "creationTimestamp" && child.is_null(); });
}

void append_lines(std::string& lines, const Error& error) {
  if (!lines.empty()) lines += '\n';
  lines += error.message;
}

Result<void> check_names(const std::vector<Policy>& policies) {
  std::map<std::string, std::string> seen;
  for (const auto& policy : policies) {
    const std::string where = policy.source.position.to_string();
    const auto [known, fresh] = seen.emplace(policy.metadata.name, where);
    if (fresh) continue;
    return fail(ErrorCode::kInvalid, "{}: metadata.name: a policy \"{}\" is at {} already; give each its own name", where,
                policy.metadata.name, known->second);
  }
  return {};
}

}  // namespace

Result<std::vector<Policy>> parse_policies(std::string_view text, const std::string& file) {
  auto documents = yaml::parse(text, file);
  if (!documents) return fail(documents.error());
  std::vector<Policy> policies;
  std::string wrong;
  for (auto& document : *documents) {
    drop_missing_timestamp(document);
    if (auto policy = checked_policy(document)) {
      policies.push_back(std::move(*policy));
    } else {
      append_lines(wrong, policy.error());
    }
  }
  if (!wrong.empty()) return fail(ErrorCode::kInvalid, "{}", wrong);
  if (auto unique = check_names(policies); !unique) return fail(unique.error());
  return policies;
}

Result<std::vector<std::filesystem::path>> policy_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  if (std::filesystem::is_regular_file(folder, error)) return std::vector{folder};
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto& path = at->path();
    const auto extension = path.extension();
    if (path.filename().string().starts_with('.')) continue;
    if (extension == ".yaml" || extension == ".yml" || extension == ".json") files.push_back(path);
  }
  if (error) return fail(system_error(error.value(), "read the folder of policies " + folder.string()));
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::vector<Policy>> load_policies(const std::filesystem::path& folder) {
  auto files = policy_files(folder);
  if (!files) return fail(files.error());
  std::vector<Policy> policies;
  std::string wrong;
  for (const auto& file : *files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    if (!in) {
      append_lines(wrong, system_error(errno, "read " + file.string()));
      continue;
    }
    auto parsed = parse_policies(text, file.string());
    if (!parsed) {
      append_lines(wrong, parsed.error());
      continue;
    }
    std::move(parsed->begin(), parsed->end(), std::back_inserter(policies));
  }
  if (!wrong.empty()) return fail(ErrorCode::kInvalid, "{}", wrong);
  if (auto unique = check_names(policies); !unique) return fail(unique.error());
  if (policies.empty()) {
    return fail(ErrorCode::kInvalid, "{} holds no policy (*.yaml, *.yml, *.json); `cistern-operator init --output {}` writes a first one",
                folder.string(), (folder / "default.yaml").string());
  }
  return policies;
}

Result<Policy> from_json(const Json& json) { return checked_policy(yaml::from_json(json)); }

Json to_json(const Policy& policy) {
  return Json{{"apiVersion", kApiVersion},
              {"kind", kKind},
              {"metadata", yaml::write(policy.metadata, yaml::Write::kChanged)},
              {"spec", yaml::to_json(policy.source)}};
}

}  // namespace cistern::model
