#include "cache-agent/store/sqlite.hpp"

#include <sqlite3.h>

namespace cistern::store {

Database::~Database() { sqlite3_close(handle_); }

Result<void> Database::open(const std::string& path) {
  path_ = path;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (sqlite3_open_v2(path.c_str(), &handle_, kFlags, nullptr) != SQLITE_OK) return fail(error("open"));
  sqlite3_busy_timeout(handle_, 5000);  // someone may be looking at it with sqlite3
  return {};
}

Error Database::error(std::string_view what) const {
  if (handle_ == nullptr) return {ErrorCode::kIo, fmt::format("{}: {}: out of memory", path_, what), std::nullopt};
  ErrorCode code = ErrorCode::kIo;
  switch (sqlite3_errcode(handle_) & 0xff) {
    case SQLITE_FULL: code = ErrorCode::kNoSpace; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: code = ErrorCode::kCorrupt; break;  // SQLITE_ERROR: a table or column is not there
    default: break;
  }
  return {code, fmt::format("{}: {}: {}", path_, what, sqlite3_errmsg(handle_)), std::nullopt};
}

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return fail(error(sql));
  return {};
}

Statement::~Statement() { sqlite3_finalize(handle_); }

Result<void> Statement::prepare(Database& database, std::string_view sql) {
  database_ = &database;
  const int result =
      sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  if (result != SQLITE_OK) return fail(database.error(sql));
  return {};
}

Statement& Statement::bind(int parameter, std::uint64_t value) {
  sqlite3_bind_int64(handle_, parameter, static_cast<sqlite3_int64>(value));
  return *this;
}

Statement& Statement::bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(handle_, parameter, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int parameter, std::string_view bytes) {
  sqlite3_bind_blob64(handle_, parameter, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Result<bool> Statement::step() {
  const int result = sqlite3_step(handle_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  Error error = database_->error(sqlite3_sql(handle_));
  sqlite3_reset(handle_);
  return fail(std::move(error));
}

void Statement::reset() { sqlite3_reset(handle_); }

std::uint64_t Statement::number(int column) const { return static_cast<std::uint64_t>(sqlite3_column_int64(handle_, column)); }

std::string_view Statement::bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

}  // namespace cistern::store
