// How a person sees what an agent tells about itself. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "operator/agent_report/report.hpp"

namespace cistern::standalone {

using agent_report::AgentStatus;
using agent_report::Fill;
using agent_report::UpstreamHealth;

// "97 %", or "-" where nothing was asked for.
std::string hit_ratio(const AgentStatus& status);
// One line for a log.
std::string summary(const AgentStatus& status);

// The live view: lines of at most `width` characters.
struct View {
  std::string policy;
  std::string listen;
  std::string state;   // "in force", "starting" …
  std::string served;  // "Go, docker.io, quay.io"
};
std::vector<std::string> live_lines(const View& view, const AgentStatus& status, std::size_t width);

}  // namespace cistern::standalone
