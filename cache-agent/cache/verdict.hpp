// What answers mean: which errors they are, when the next source may be asked, and what all of them together say. Pure, but for
// reading a refusal's text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache-agent/cache/plan.hpp"

namespace cistern::cache {

bool is_absent(const Error& error);

// What a status other than success means to us (architecture, rule 6); `text` is the upstream's own explanation, if it gave one.
Error error_of_status(const std::string& upstream, const upstream::Head& head, std::string text);

// Whether the next source may be asked after this error.
bool may_ask_next(const Source& source, const Error& error);

// What all the sources together said: a "not found" only if each of them said so, else the first failure. Not of none. What canaries said
// counts only if nobody else was asked.
Error verdict(const std::vector<Error>& errors);

// Whether a copy past its time is better than this answer.
bool stale_is_better(const Error& error);

// "bytes 100-199/200" → 100; empty if it is not such a value.
std::optional<std::uint64_t> content_range_start(std::string_view value);

// A refusal's text, where it is a short plain one; `go` prints it.
Awaitable<std::string> explanation(upstream::Transfer& transfer);

Awaitable<Result<std::string>> read_all(upstream::Transfer& transfer, std::uint64_t limit);

}  // namespace cistern::cache
