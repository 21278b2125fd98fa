#include "operator/rewrite/command.hpp"

#include <cstdio>
#include <map>

#include "config/checks.hpp"
#include "operator/rewrite/edits.hpp"
#include "operator/rewrite/files.hpp"
#include "operator/standalone/agent_http.hpp"
#include "operator/standalone/data_folder.hpp"
#include "operator/standalone/prepare.hpp"

namespace cistern::rewrite {

// What becomes of one file.
struct Command::Job {
  std::string file;
  std::string before;
  Rewritten after;

  bool changed() const { return before != after.text; }
};

Command::Command(CLI::App& app)
    : app_(app.add_subcommand("rewrite", "Have image references in manifests, Compose files and Dockerfiles lead to the agents")) {
  app_->add_option("--policies", policies_, "Folder of MirrorPolicies, or one file: only registries that they name are rewritten")
      ->envname("CISTERN_POLICIES")
      ->required();
  app_->add_option("--region", region_, "As in this region; default: the policy's region.default")->envname("CISTERN_REGION");
  app_->add_option("--profile", profile_, "With this profile; default: the policy's profile.default")->envname("CISTERN_PROFILE");
  app_->add_option("--listen", listen_, "The agent's HOST:PORT")->envname("CISTERN_LISTEN")->capture_default_str();
  app_->add_option("--registry", registry_, "HOST:PORT of the agents, as whoever pulls reaches them; default: --listen")
      ->envname("CISTERN_REGISTRY");
  app_->add_option("--type", type_, "yaml or dockerfile; default: by a file's name, else by what is in it")
      ->check(CLI::IsMember({"yaml", "dockerfile"}));
  app_->add_flag("--dry-run", dry_run_, "Write nothing; print what would change, as a diff");
  app_->add_flag("--check", check_, "Write nothing; end with code 1 if something would change");
  app_->add_flag("--undo", undo_, "Have references that lead to the agents lead to their registries again");
  app_->add_option("-o,--output", output_, "Folder for what is made of the files, which stay as they are");
  app_->add_option("files", files_, "Files to change; -: from standard input to standard output")->required();
}

Result<Mirror> Command::mirror() const {
  const auto prepared = standalone::preview(policies_, listen_, {region_, profile_});
  if (!prepared) return fail(prepared.error());
  Mirror mirror{registry_, {}};
  if (registry_.empty()) {
    mirror.address = standalone::agent_address(listen_)->listener;
  } else if (auto host = config::check_host(registry_); !host) {
    return fail(host.error().in("--registry"));
  } else if (registry_.find_first_of(".:") == std::string::npos && registry_ != "localhost") {
    return fail(ErrorCode::kInvalid, "--registry: {} would be read as a part of a repository's name; write it with its port", registry_);
  }
  for (const auto& registry : prepared->plan.effective.settings.registries) mirror.registries.insert(registry.name);
  return mirror;
}

Result<std::vector<Command::Job>> Command::jobs(const Mirror& mirror) const {
  std::vector<Job> jobs;
  std::map<std::filesystem::path, std::string> places;
  std::string wrong;
  for (const auto& file : files_) {
    auto text = read(file);
    if (!text) return fail(text.error());
    const auto kind = type_.empty() ? kind_of(file, *text) : type_ == "yaml" ? Kind::kYaml : Kind::kDockerfile;
    auto after = rewrite(*text, file == "-" ? "standard input" : file, kind, mirror, undo_ ? Direction::kBack : Direction::kToMirror);
    if (!after) {
      wrong += (wrong.empty() ? "" : "\n") + after.error().message;
      continue;
    }
    jobs.push_back({file, std::move(*text), std::move(*after)});
    if (output_.empty() || file == "-") continue;
    const auto [known, fresh] = places.emplace(place_below(output_, file), file);
    if (!fresh)
      wrong += fmt::format("{}{} and {} would both become {}", wrong.empty() ? "" : "\n", known->second, file, known->first.string());
  }
  if (!wrong.empty()) return fail(ErrorCode::kInvalid, "{}", wrong);
  return jobs;
}

Result<void> Command::finish(const Job& job) const {
  if (dry_run_ || check_) {
    if (dry_run_) fmt::print("{}", unified_diff(job.before, job.after.text, job.file));
    if (check_ && !dry_run_ && job.changed()) fmt::print("{} would change\n", job.file);
    return {};
  }
  if (job.file == "-") {
    fmt::print("{}", job.after.text);
    return {};
  }
  if (!output_.empty()) {
    const auto place = place_below(output_, job.file);
    std::error_code error;
    std::filesystem::create_directories(place.parent_path(), error);
    if (error) return fail(system_error(error.value(), "make " + place.parent_path().string()));
    return standalone::write_atomically(place, job.after.text);
  }
  if (!job.changed()) return {};
  fmt::print("rewrote {}\n", job.file);
  return replace(job.file, job.after.text);
}

Result<bool> Command::execute() {
  const auto mirror = this->mirror();
  if (!mirror) return fail(mirror.error());
  const auto jobs = this->jobs(*mirror);
  if (!jobs) return fail(jobs.error());
  bool changed = false;
  for (const auto& job : *jobs) {
    for (const auto& remark : job.after.remarks) fmt::print(stderr, "{}\n", remark);
    if (auto finished = finish(job); !finished) return fail(finished.error());
    changed = changed || job.changed();
  }
  return check_ && changed;
}

}  // namespace cistern::rewrite
