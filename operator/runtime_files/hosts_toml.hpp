// containerd's certs.d/<registry>/hosts.toml. Pure but for `certificates_in`. Source: containerd docs/hosts.md, and hosts.go of its
// remotes/docker/config where that is silent.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace cistern::runtime_files {

struct HostsFile {
  std::string server;  // asked last; empty: the registry itself
  bool skip_verify = false;
  struct Host {
    std::string url;
    std::vector<std::string> capabilities;  // empty: all
    bool skip_verify = false;
  };
  std::vector<Host> hosts;  // in the order in which they are asked, which is the file's
};

// kInvalid for what containerd drops as well.
Result<HostsFile> parse_hosts_toml(std::string_view text);

// Folder names in which containerd looks for a registry, in this order: of "host:5000" first "host_5000_", then "host:5000"; "_default"
// comes after them.
std::vector<std::string> host_folders(std::string_view registry);

// Certificates beside a missing hosts.toml, which containerd then uses as Docker would (*.crt; *.cert with its *.key). With a hosts.toml
// in the folder it does not look for them, so that one that is added has to name them.
struct Certificates {
  std::vector<std::string> authorities;                      // file names
  std::vector<std::pair<std::string, std::string>> clients;  // certificate and key; the key may be empty
  bool empty() const { return authorities.empty() && clients.empty(); }
};
Certificates certificates_in(const std::filesystem::path& folder);

// What makes containerd ask `mirror` first, and after it whatever it asked before, in the same way.
struct MirrorFirst {
  std::string mark;           // the first line
  std::string mirror;         // URL
  std::string before;         // the hosts.toml that was in force; empty: none
  Certificates certificates;  // only without one
  std::string folder;         // where `before` or the certificates are, as containerd sees it: relative paths in them are below it
};
// kInvalid if `before` is none that containerd would take.
Result<std::string> hosts_toml_with_mirror(const MirrorFirst& parts);

// What makes containerd ask nobody else. The mirror is named as a host too: before 2.0 containerd drops a file that names none, and would
// go to the registry itself.
std::string strict_hosts_toml(std::string_view mark, std::string_view mirror);

}  // namespace cistern::runtime_files
