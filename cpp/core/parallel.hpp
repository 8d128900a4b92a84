// Threads that live for one call. Chunks depend on the size alone, so that no result depends on the number of threads;
// nothing survives the call, so that a fork inherits nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <thread>

namespace hbm_fast {

// Called on the calling thread about every 50 ms between chunks; throws to stop the call (Ctrl-C).
using Poll = std::function<void()>;

// Thrown where a body stops because poll has thrown on another thread; parallel_for drops it for that exception.
struct Stopped {};

// For long loops inside a body (and outside): the thread that made it polls where 50 ms have passed since it did so
// last; once that has thrown, any other thread that calls this throws Stopped. `poll` must outlive it.
class TimedPoll {
 public:
  explicit TimedPoll(const Poll& poll);
  void operator()();

 private:
  const Poll& poll_;
  std::thread::id caller_;
  std::chrono::steady_clock::time_point last_;
  std::atomic<bool> stopped_{false};
};

// Calls body(begin, end) on [0, n) in chunks of at most `chunk`. Blocks until all is done. The first exception, of
// a body or of poll, stops the remaining chunks and is rethrown here, as is std::bad_alloc where there is no memory to
// start a thread with. With fewer than two chunks no thread is started.
void parallel_for(std::size_t n, std::size_t chunk, int n_threads,
                  const std::function<void(std::size_t, std::size_t)>& body, const Poll& poll = {});

// How many threads that takes, the caller among them: at least one, and no more than there are chunks.
std::size_t threads_for(std::size_t n, std::size_t chunk, int n_threads);

// The same with body(thread, begin, end): which of the threads 0, ..., threads_for(...) - 1 calls, for what a thread
// keeps from chunk to chunk.
void parallel_for_threads(std::size_t n, std::size_t chunk, int n_threads,
                          const std::function<void(std::size_t, std::size_t, std::size_t)>& body,
                          const Poll& poll = {});

}  // namespace hbm_fast
