// A settings file; see the folder's README. Pure values.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "yaml/node.hpp"

namespace cistern::settings {

// A setting's value as it is written somewhere; several where it is a list.
struct Given {
  std::vector<std::string> values;
  std::string source;  // "/etc/cistern/operator.yaml:3"
};

// What a file may set: by command, names of options; true: with several values.
using Known = std::map<std::string, std::map<std::string, bool>>;

class File {
 public:
  // kInvalid with one line for everything that is wrong, "FILE:LINE: key: what is wrong; what would be right".
  static Result<File> parse(std::string_view text, const std::string& name, const Known& known);

  // Of the command's own part, else of what is for all.
  std::optional<Given> find(const std::string& command, const std::string& option) const;

 private:
  yaml::Node root_;
  Known known_;
};

}  // namespace cistern::settings
