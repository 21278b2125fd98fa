// What the sanitizers can not know of libraries that were compiled without them. Their run-time libraries look these functions up.
#if defined(__SANITIZE_ADDRESS__)
// OpenSSL's state of each thread (errors, random numbers) in cpprestsdk's pool: its threads end after OpenSSL has cleaned up.
extern "C" __attribute__((visibility("default"), used)) const char* __lsan_default_suppressions() { return "leak:libcrypto.so\n"; }
#endif
#if defined(__SANITIZE_THREAD__)
#include <spdlog/spdlog.h>

// What one of its threads hands to another, and lets go of by a reference count, looks like a race: atomic operations in libcpprest.so are
// not seen. Everything that is not on its threads is checked as usual.
extern "C" __attribute__((visibility("default"), used)) const char* __tsan_default_suppressions() {
  return "race:libcpprest.so\nrace:pplx::details::_CancellationToken\n";
}
// The lock by which libspdlog.so makes its logger once is not seen either: made here, before there are threads.
[[maybe_unused]] static const auto logger = spdlog::default_logger();
#endif
