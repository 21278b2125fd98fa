#include "operator/node/ledger.hpp"

#include "base/encoding.hpp"

namespace cistern::node {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

json to_json(const Original& original) {
  json extended = json::object();
  for (const auto& [name, value] : original.attributes.extended) extended[name] = to_base64(value);
  return {{"kind", original.kind == Kind::kLink ? "link" : "file"},
          {"mode", original.attributes.mode},
          {"uid", original.attributes.uid},
          {"gid", original.attributes.gid},
          {"modified", original.attributes.modified.value_or(0)},
          {"extended", extended},
          {"target", to_base64(original.target)},
          {"sha256", original.digest},
          {"backup", original.backup}};
}

Original original_of(const json& object) {
  Original original;
  original.kind = object.at("kind") == "link" ? Kind::kLink : Kind::kFile;
  original.attributes.mode = object.at("mode").get<mode_t>();
  original.attributes.uid = object.at("uid").get<uid_t>();
  original.attributes.gid = object.at("gid").get<gid_t>();
  original.attributes.modified = object.at("modified").get<std::int64_t>();
  for (const auto& [name, value] : object.at("extended").items()) {
    original.attributes.extended[name] = from_base64(value.get<std::string>()).value_or("");
  }
  original.target = from_base64(object.at("target").get<std::string>()).value_or("");
  original.digest = object.at("sha256").get<std::string>();
  original.backup = object.at("backup").get<std::string>();
  return original;
}

// Contents may hold any bytes of others (a config.toml in Latin-1), which JSON may not.
json to_json(const ManagedFile& file) {
  json object = {{"content", to_base64(file.content)}, {"once", file.once}, {"folders", file.folders}};
  if (file.fallback != file.content) object["fallback"] = to_base64(file.fallback);
  object["original"] = file.original ? to_json(*file.original) : json();
  return object;
}

ManagedFile file_of(const json& object) {
  ManagedFile file;
  file.content = from_base64(object.at("content").get<std::string>()).value_or("");
  file.fallback = object.contains("fallback") ? from_base64(object.at("fallback").get<std::string>()).value_or("") : file.content;
  file.once = object.at("once").get<bool>();
  file.folders = object.at("folders").get<std::vector<std::string>>();
  if (const auto& original = object.at("original"); !original.is_null()) file.original = original_of(original);
  return file;
}

json to_json(const Pending& pending) {
  json steps = json::object();
  for (const auto& [path, step] : pending.steps) steps[path] = {{"existed", step.existed}, {"sha256", step.digest}};
  return {{"steps", steps}, {"folders", pending.folders}, {"backups", pending.backups}};
}

Pending pending_of(const json& object) {
  Pending pending;
  for (const auto& [path, step] : object.at("steps").items()) {
    pending.steps[path] = {step.at("existed").get<bool>(), step.at("sha256").get<std::string>()};
  }
  pending.folders = object.at("folders").get<std::vector<std::string>>();
  pending.backups = object.at("backups").get<std::vector<std::string>>();
  return pending;
}

}  // namespace

std::string to_text(const Ledger& ledger) {
  json files = json::object();
  for (const auto& [path, file] : ledger.files) files[path] = to_json(file);
  json object = {{"version", kVersion},       {"files", files},          {"asides", ledger.asides}, {"folders", ledger.folders},
                 {"backups", ledger.backups}, {"config", ledger.config}, {"place", ledger.place},   {"storage", ledger.storage},
                 {"repairs", ledger.repairs}};
  object["pending"] = ledger.pending ? to_json(*ledger.pending) : json();
  return object.dump(1) + "\n";
}

Result<Ledger> parse_ledger(const std::string& text) {
  try {
    const auto object = json::parse(text);
    if (object.at("version") != kVersion)
      return fail(ErrorCode::kCorrupt, "it is of version {}, not {}", object.at("version").dump(), kVersion);
    Ledger ledger;
    for (const auto& [path, file] : object.at("files").items()) ledger.files[path] = file_of(file);
    if (const auto& pending = object.at("pending"); !pending.is_null()) ledger.pending = pending_of(pending);
    ledger.asides = object.at("asides").get<std::set<std::string>>();
    ledger.folders = object.at("folders").get<std::set<std::string>>();
    ledger.backups = object.at("backups").get<std::set<std::string>>();
    ledger.config = object.at("config").get<std::string>();
    ledger.place = object.value("place", "");
    ledger.storage = object.at("storage").get<std::map<std::string, bool>>();
    ledger.repairs = object.at("repairs").get<unsigned>();
    return ledger;
  } catch (const json::exception& error) {
    return fail(ErrorCode::kCorrupt, "{}", error.what());
  }
}

}  // namespace cistern::node
