// What was measured, for people and for programs. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/probe/measure.hpp"

namespace cistern::probe {

// Within each list the better first (time to the first byte and its jitter); those that do not answer last.
void sort(std::vector<Measured>& all);
std::string table(const std::vector<Measured>& all);
// [{"list","upstream","url","asked","answered","connect_ms","ttfb_ms","total_ms","jitter_ms","throughput_bytes_per_second","error"}]; null
// where nobody knows.
std::string json(const std::vector<Measured>& all);

}  // namespace cistern::probe
