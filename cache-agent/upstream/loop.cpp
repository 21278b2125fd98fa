#include "cache-agent/upstream/loop.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

namespace cistern::upstream {
namespace {

// How long touched jobs wait at most for the loop to run out of other work.
constexpr std::chrono::milliseconds kGather{1};
// Idle connections kept, all upstreams together.
constexpr long kPooledConnections = 128;

}  // namespace

// A socket that libcurl wants to hear of, by a duplicate of its descriptor that is ours to close. CURL_POLL_REMOVE may come after libcurl
// has closed its own: that of a resolver whose transfer is given up.
struct Loop::Watch {
  boost::asio::posix::stream_descriptor descriptor;
  curl_socket_t socket;
  int wanted = 0;
  bool reading = false;
  bool writing = false;
  bool gone = false;
};

Loop::Loop() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_ = curl_multi_init();
  share_ = curl_share_init();
  if (multi_ == nullptr || share_ == nullptr) throw std::runtime_error("libcurl can not be set up");
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Loop::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Loop::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kPooledConnections);
  // One request at a time on a connection, HTTP/2 too: libcurl 7.88 gives streams that arrive together each other's bytes.
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);  // one thread: no lock functions
  thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
  post([this] { ended_ = true; });
  thread_.join();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, nullptr);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, nullptr);
  end_jobs();
  touched_.clear();
  while (!watches_.empty()) forget(watches_.begin()->first);
  curl_multi_cleanup(multi_);
  curl_share_cleanup(share_);
  curl_global_cleanup();
}

void Loop::run() {
  pthread_setname_np(pthread_self(), "upstream");
  // Signals are main's; and a write to a closed connection is an error here, not a SIGPIPE.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  while (!ended_) {
    if (context_.poll_one() == 0) {
      deliver();
      context_.run_one();
    } else if (!touched_.empty() && std::chrono::steady_clock::now() - touched_since_ >= kGather) {
      deliver();
    }
  }
}

void Loop::stop() {
  post([this] {
    refusing_ = true;
    end_jobs();
  });
}

void Loop::end_jobs() {
  std::unordered_map<CURL*, std::shared_ptr<Job>> jobs;
  jobs.swap(jobs_);
  for (const auto& [easy, job] : jobs) {
    curl_multi_remove_handle(multi_, easy);
    job->stopped();
  }
}

void Loop::touch(std::shared_ptr<Job> job) {
  if (touched_.empty()) touched_since_ = std::chrono::steady_clock::now();
  touched_.push_back(std::move(job));
}

void Loop::deliver() {
  std::vector<std::shared_ptr<Job>> jobs;
  jobs.swap(touched_);
  for (const auto& job : jobs) job->deliver();
  jobs.clear();
  if (touched_.empty()) touched_.swap(jobs);  // keeps its capacity
}

bool Loop::add(CURL* easy, std::shared_ptr<Job> job) {
  jobs_[easy] = std::move(job);
  if (curl_multi_add_handle(multi_, easy) == CURLM_OK) return true;
  jobs_.erase(easy);
  return false;
}

void Loop::remove(CURL* easy) {
  if (jobs_.erase(easy) != 0) curl_multi_remove_handle(multi_, easy);
}

int Loop::on_socket(CURL* /*easy*/, curl_socket_t socket, int wanted, void* self, void* /*watch*/) {
  auto& loop = *static_cast<Loop*>(self);
  if (wanted == CURL_POLL_REMOVE) {
    loop.forget(socket);
    return 0;
  }
  auto& watch = loop.watches_[socket];
  if (watch == nullptr) {
    watch = std::make_shared<Watch>(Watch{boost::asio::posix::stream_descriptor(loop.context_), socket});
    const int own = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
    boost::system::error_code error;
    if (own >= 0) watch->descriptor.assign(own, error);
    if (own < 0 || error) {
      if (own >= 0) ::close(own);
      loop.watches_.erase(socket);
      return -1;
    }
  }
  watch->wanted = wanted;
  loop.arm(watch);
  return 0;
}

void Loop::forget(curl_socket_t socket) {
  const auto found = watches_.find(socket);
  if (found == watches_.end()) return;
  found->second->gone = true;
  // Taken out of epoll, which closing alone would not do while libcurl's own is open.
  ::close(found->second->descriptor.release());
  watches_.erase(found);
}

void Loop::arm(const std::shared_ptr<Watch>& watch) {
  using boost::asio::posix::stream_descriptor;
  if ((watch->wanted & CURL_POLL_IN) != 0 && !watch->reading) {
    watch->reading = true;
    watch->descriptor.async_wait(stream_descriptor::wait_read, [this, watch](const boost::system::error_code&) {
      watch->reading = false;
      ready(watch, CURL_POLL_IN);
    });
  }
  if ((watch->wanted & CURL_POLL_OUT) != 0 && !watch->writing) {
    watch->writing = true;
    watch->descriptor.async_wait(stream_descriptor::wait_write, [this, watch](const boost::system::error_code&) {
      watch->writing = false;
      ready(watch, CURL_POLL_OUT);
    });
  }
}

void Loop::ready(const std::shared_ptr<Watch>& watch, int events) {
  if (watch->gone || (watch->wanted & events) == 0) return;
  act(watch->socket, events == CURL_POLL_IN ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
  if (!watch->gone) arm(watch);
}

int Loop::on_timer(CURLM* /*multi*/, long milliseconds, void* self) {
  static_cast<Loop*>(self)->set_timer(milliseconds);
  return 0;
}

void Loop::set_timer(long milliseconds) {
  if (milliseconds < 0) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::chrono::milliseconds(milliseconds));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) act(CURL_SOCKET_TIMEOUT, 0);
  });
}

void Loop::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, socket, events, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;  // the message dies with the handle's removal
    const auto found = jobs_.find(easy);
    if (found == jobs_.end()) continue;
    const auto job = std::move(found->second);
    jobs_.erase(found);
    curl_multi_remove_handle(multi_, easy);
    job->finished(code);
  }
}

}  // namespace cistern::upstream
