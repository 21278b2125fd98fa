// Asio as this project uses it: coroutines, and errors as values.
#pragma once

#include <utility>  // before awaitable.hpp

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace cistern {

namespace asio = boost::asio;

template <class T = void>
using Awaitable = asio::awaitable<T>;

}  // namespace cistern
