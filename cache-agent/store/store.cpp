#include "cache-agent/store/store.hpp"

namespace cistern::store {

Result<void> Store::put(std::string_view body, KeyRecord key) {
  auto writer = begin(body.size());
  if (!writer) return fail(std::move(writer.error()));
  if (auto appended = (*writer)->append(std::as_bytes(std::span(body))); !appended) return appended;
  std::vector<KeyRecord> keys;
  keys.push_back(std::move(key));
  return (*writer)->commit(std::move(keys));
}

}  // namespace cistern::store
