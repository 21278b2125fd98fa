// Environment variables in the forms that shells, tools and CI systems read. Pure.
#pragma once

#include <map>
#include <string>

#include "base/error.hpp"

namespace cistern::render {

using Variables = std::map<std::string, std::string>;

enum class VariablesFormat { kShell, kDotenv, kGitHub, kGitLab, kJson };

// By the names sh, dotenv, github, gitlab and json; kInvalid for any other.
Result<VariablesFormat> variables_format(const std::string& name);

// Names must be variables' names. kInvalid where the format can not hold a value; the error names the variable.
Result<std::string> to_text(const Variables& variables, VariablesFormat format);

// Lines of `export NAME='value'`, for sh.
std::string to_shell(const Variables& variables);

// Lines of NAME=value as Compose and the dotenv libraries read them. A value of plain characters stands as it is, which `docker run
// --env-file` takes too; others are in single quotes, within which nothing is expanded, and those with a single quote in double quotes.
std::string to_dotenv(const Variables& variables);

// What is appended to the file $GITHUB_ENV: NAME=value, and for values of several lines NAME<<DELIMITER, the value, DELIMITER, where no
// line of the value is the delimiter.
std::string to_github(const Variables& variables);

// A report of type dotenv for `artifacts:reports:dotenv`. GitLab takes no comments, no empty lines, no quotes and no line breaks, and cuts
// white space off values.
Result<std::string> to_gitlab(const Variables& variables);

}  // namespace cistern::render
