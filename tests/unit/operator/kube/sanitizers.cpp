// What the sanitizers can not know of libraries that were compiled without them. Their run-time libraries look these functions up.
#if defined(__SANITIZE_ADDRESS__)
// OpenSSL's state of each thread (errors, random numbers) in cpprestsdk's pool: its threads end after OpenSSL has cleaned up.
extern "C" __attribute__((visibility("default"), used)) const char* __lsan_default_suppressions() { return "leak:libcrypto.so\n"; }
#endif
#if defined(__SANITIZE_THREAD__)
// The reference counts of a cancellation are let go on both sides, of which the thread sanitizer sees ours only.
extern "C" __attribute__((visibility("default"), used)) const char* __tsan_default_suppressions() {
  return "race:pplx::details::_CancellationTokenCallback\n"
         "race:pplx::details::_CancellationTokenState\n"
         "race:web::http::client::details::asio_context::~asio_context\n";
}
#endif
