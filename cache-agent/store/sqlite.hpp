// SQLite behind two small classes. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace cistern::store {

class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();
  // kCorrupt for what is no database; kNoSpace, kIo.
  Result<void> open(const std::string& path);
  // Runs statements that give no rows.
  Result<void> run(const char* sql);
  sqlite3* handle() const { return handle_; }
  // The error of the last call.
  Error error(std::string_view what) const;

 private:
  sqlite3* handle_ = nullptr;
  std::string path_;
};

class Statement {
 public:
  Statement() = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();
  Result<void> prepare(Database& database, std::string_view sql);

  // Parameters are numbered from 1. Texts must outlive the next step().
  Statement& bind(int parameter, std::uint64_t value);
  Statement& bind(int parameter, std::string_view text);
  Statement& bind_blob(int parameter, std::string_view bytes);
  // True: there is a row. After the last row, or an error, the statement is ready to be run again.
  Result<bool> step();
  // Gives up the rows that are left.
  void reset();

  // Of the current row, columns from 0; valid until the next step().
  std::uint64_t number(int column) const;
  std::string_view bytes(int column) const;

 private:
  Database* database_ = nullptr;
  sqlite3_stmt* handle_ = nullptr;
};

}  // namespace cistern::store
