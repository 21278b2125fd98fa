// link: cistern_go
// Paths under /go/: whatever is accepted has one spelling, and asks an upstream for that.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cache-agent/ecosystem/go/answer.hpp"
#include "cache-agent/ecosystem/go/module.hpp"
#include "cache-agent/ecosystem/go/request.hpp"

namespace {

using cistern::go::Request;

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const Request& request) {
  const auto again = cistern::go::parse(request.upstream_path);
  require(again.has_value());
  require(again->upstream_path == request.upstream_path && again->module == request.module && again->version == request.version);
  require(again->kind == request.kind && again->tail == request.tail && again->sumdb == request.sumdb);
  require(request.upstream_path.find("..") == std::string::npos && request.upstream_path.find("//") == std::string::npos);
  if (request.module.empty()) return;
  require(cistern::go::check_module_path(request.module).has_value());
  require(cistern::go::unescape(cistern::go::escape(request.module)).value() == request.module);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto view = cistern::go::split_view(text);
  const auto path = view ? view->rest : text;
  if (const auto request = cistern::go::parse(path)) check(*request);
  if (const auto list = cistern::go::check_list(text)) require(cistern::go::check_list(*list).value() == *list);
  cistern::go::check_info(Request{}, text).has_value();
  return 0;
}
