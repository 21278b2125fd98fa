#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "yaml/node.hpp"

namespace cistern::yaml {
namespace {

// Plain only where no reader can mistake it: a letter, '/' or '.' first, harmless characters, and no word of YAML 1.1.
bool is_plain(std::string_view text) {
  static constexpr std::array<std::string_view, 10> kWords = {"true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf"};
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto harmless = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || std::string_view("-_./+=@~").find(c) != std::string_view::npos;
  };
  if (text.empty() || !(letter(text[0]) || text[0] == '/')) return false;
  std::string lower;
  for (std::size_t i = 0; i < text.size(); ++i) {
    // ':' is harmless between other characters, as in URLs and HOST:PORT.
    if (!harmless(text[i]) && !(text[i] == ':' && i + 1 < text.size())) return false;
    lower += static_cast<char>(letter(text[i]) ? text[i] | 0x20 : text[i]);
  }
  return std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

void write_text(YAML::Emitter& out, const std::string& text) {
  // Sizes, durations and percentages ("20Gi", "1m30s", "15%") stay readable: digits and a unit are text to every reader.
  const bool quantity = !text.empty() && text[0] >= '1' && text[0] <= '9' && text.find_first_not_of("0123456789") != std::string::npos &&
                        text.find_first_not_of("0123456789KMGTPismh%") == std::string::npos;
  if (!is_plain(text) && !quantity) out << YAML::DoubleQuoted;
  out << text;
}

void write(YAML::Emitter& out, const Json& json) {
  if (json.is_object()) {
    out << (json.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
    for (const auto& item : json.items()) {
      out << YAML::Key;
      write_text(out, item.key());
      out << YAML::Value;
      write(out, item.value());
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    const bool flat = std::none_of(json.begin(), json.end(), [](const Json& item) { return item.is_structured(); });
    out << (flat ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
    for (const auto& item : json) write(out, item);
    out << YAML::EndSeq;
  } else if (json.is_string()) {
    write_text(out, json.get_ref<const std::string&>());
  } else if (json.is_null()) {
    out << YAML::Null;
  } else {
    out << json.dump();
  }
}

}  // namespace

std::string emit(const Json& json) {
  YAML::Emitter out;
  write(out, json);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace cistern::yaml
